import {
  BadRequestException,
  Body,
  Catch,
  Inject,
  Injectable,
  ParseIntPipe,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  flowRequestOf,
  FlowStep,
  json,
  type FlowContext,
  type FlowRequest,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const Text = json<string>('Text');
const contract = (name: string) => flow(name, { input: Text, output: json('Anything') });
const Scoped = contract('scoped');
const Guarded = contract('guarded');
const Piped = contract('piped');
const Intercepted = contract('intercepted');
const Filtered = contract('filtered');
const ONCE = fixed(1, { attempts: 2 });

@Injectable({ scope: Scope.REQUEST })
class ScopedSteps {
  static instances = 0;
  private readonly number = ++ScopedSteps.instances;

  constructor(@Inject(REQUEST) private readonly request: FlowRequest) {}

  @FlowStep({ flow: Scoped, retry: ONCE })
  work(input: string, ctx: FlowContext): string {
    if (ctx.attempt === 1) throw new Error('once');
    return `${input} ${String(this.request.input)} ${this.request.ctx.runId} ${this.number}`;
  }
}

@Injectable()
class TenantGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return flowRequestOf(context)?.ctx.metadata['tenant'] === 'acme';
  }
}

@Injectable()
class GuardedSteps {
  calls = 0;

  @FlowStep({ flow: Guarded, retry: ONCE })
  @UseGuards(TenantGuard)
  work(input: string): string {
    this.calls += 1;
    return input;
  }
}

@Injectable()
class PipedSteps {
  @FlowStep({ flow: Piped, retry: ONCE })
  work(@Body(ParseIntPipe) value: unknown): number {
    return (value as number) + 1;
  }
}

@Injectable()
class Shouting implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler<string>): Observable<string> {
    return next.handle().pipe(map((text) => text.toUpperCase()));
  }
}

@Injectable()
class InterceptedSteps {
  @FlowStep({ flow: Intercepted })
  @UseInterceptors(Shouting)
  work(input: string): string {
    return input;
  }
  @FlowStep({ flow: Intercepted, after: 'work' })
  end(input: string): string {
    return `${input}.`;
  }
}

@Catch(BadRequestException)
class Fallback implements ExceptionFilter {
  catch(_error: BadRequestException, host: ArgumentsHost): string {
    return `nothing for ${flowRequestOf(host)?.ctx.runId}`;
  }
}

@Injectable()
class FilteredSteps {
  @FlowStep({ flow: Filtered, retry: ONCE })
  @UseFilters(Fallback)
  work(input: string): string {
    throw input === 'bad' ? new BadRequestException(input) : new Error(input);
  }
  @FlowStep({ flow: Filtered, after: 'work' })
  end(input: string): string {
    return `${input}!`;
  }
}

describe('what Nest does around a step', () => {
  const nats = useFlowServer();

  it('gives each delivery an instance of a request-scoped provider, with the delivery as its request', async () => {
    await using app = await startFlowApp(nats.url, [ScopedSteps]);
    expect(await app.run(Scoped, 'x', { runId: 'a' })).toMatch(/^x x a \d+$/);
    expect(await app.run(Scoped, 'y', { runId: 'b' })).toMatch(/^y y b \d+$/);
    expect(ScopedSteps.instances).toBe(4);
  });

  it('lets guards decide; what they refuse ends in the dead letters', async () => {
    await using app = await startFlowApp(nats.url, [GuardedSteps, TenantGuard]);
    expect(await app.run(Guarded, 'x', { metadata: { tenant: 'acme' } })).toBe('x');
    const refused = await app.get(FlowClient).start(Guarded, 'x', { runId: 'refused' });
    await expect(refused.result()).rejects.toThrow(/Forbidden/);
    expect(app.get(GuardedSteps).calls).toBe(1);
    expect(await app.get(DeadLetters).get('guarded.work.refused')).toMatchObject({
      reason: 'attempts-exhausted',
      attempts: 2,
      error: { name: 'ForbiddenException' },
    });
  });

  it('passes the message through pipes', async () => {
    await using app = await startFlowApp(nats.url, [PipedSteps]);
    expect(await app.run(Piped, '41')).toBe(42);
    await expect(app.run(Piped, 'forty', { runId: 'words' })).rejects.toThrow(/numeric string/);
  });

  it('passes the result through interceptors before it goes on', async () => {
    await using app = await startFlowApp(nats.url, [InterceptedSteps, Shouting]);
    expect(await app.run(Intercepted, 'loud')).toBe('LOUD.');
  });

  it('takes what an exception filter gives as the result, and other errors for failures', async () => {
    await using app = await startFlowApp(nats.url, [FilteredSteps, Fallback]);
    expect(await app.run(Filtered, 'bad', { runId: 'f' })).toBe('nothing for f!');
    await expect(app.run(Filtered, 'worse', { runId: 'w' })).rejects.toThrow(/worse/);
  });
});
