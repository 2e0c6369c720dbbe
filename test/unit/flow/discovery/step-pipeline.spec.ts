import {
  Catch,
  createParamDecorator,
  ForbiddenException,
  Injectable,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentMetadata,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import { map, of, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { TerminalError } from '../../../../lib/common/errors.js';
import { FlowStep } from '../../../../lib/flow/decorators/flow-step.decorator.js';
import { flowRequestOf } from '../../../../lib/flow/discovery/flow-context-type.js';
import type { FlowContext } from '../../../../lib/flow/flow-context.js';
import { RetryLater } from '../../../../lib/flow/retry-later.error.js';
import { fakeFlowContext } from '../../../support/flow-steps.js';
import { StepApplication } from '../../../support/step-application.js';

const ctx = fakeFlowContext();

@Injectable()
class Journal {
  readonly lines: string[] = [];
}

@Injectable()
class EvenOnly implements CanActivate {
  constructor(private readonly journal: Journal) {}
  canActivate(context: ExecutionContext): boolean {
    this.journal.lines.push('guard');
    return Number(context.getArgByIndex(0)) % 2 === 0;
  }
}

@Injectable()
class AddTen implements PipeTransform<number, number> {
  constructor(private readonly journal: Journal) {}
  transform(value: number): number {
    this.journal.lines.push('pipe');
    return value + 10;
  }
}

@Injectable()
class Around implements NestInterceptor<number, string> {
  constructor(private readonly journal: Journal) {}
  intercept(_context: ExecutionContext, next: CallHandler<number>): Observable<string> {
    this.journal.lines.push('before');
    return next.handle().pipe(
      map((value) => {
        this.journal.lines.push('after');
        return `<${value}>`;
      }),
    );
  }
}

class Overflow extends Error {}

@Catch(Overflow)
class OverflowFilter implements ExceptionFilter<Overflow> {
  catch(error: Overflow, host: ArgumentsHost): unknown {
    return { handled: error.message, of: flowRequestOf(host)?.input };
  }
}

@Catch()
class LookingFilter implements ExceptionFilter {
  static readonly seen: unknown[] = [];
  async catch(error: unknown): Promise<void> {
    LookingFilter.seen.push(error);
  }
}

const Run = createParamDecorator((_: unknown, context: ExecutionContext) => flowRequestOf(context)?.ctx.runId);
const Role = (role: string) => SetMetadata('role', role);

@Injectable()
class RoleGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    const role = this.reflector.getAllAndOverride<string | undefined>('role', [
      context.getHandler(),
      context.getClass(),
    ]);
    const { ctx: step } = flowRequestOf(context) ?? {};
    return context.getHandler().name === 'privileged' && step?.metadata['role'] === role;
  }
}

@Injectable()
class Steps {
  constructor(private readonly journal: Journal) {}

  @FlowStep()
  plain(input: number, context: FlowContext): unknown {
    return { self: this.constructor.name, input, isContext: context === ctx };
  }

  @FlowStep()
  @UseGuards(EvenOnly)
  @UseInterceptors(Around)
  @UsePipes(AddTen)
  all(input: number, context: FlowContext): number {
    this.journal.lines.push(`method ${context.runId}`);
    return input * 2;
  }

  @FlowStep()
  @UseFilters(OverflowFilter)
  overflows(input: number): number {
    throw input > 10 ? new Overflow('too much') : new RangeError('too little');
  }

  @FlowStep()
  @UseFilters(LookingFilter)
  fails(input: unknown): never {
    throw input;
  }

  @FlowStep()
  @UsePipes(AddTen)
  decorated(input: number, context: FlowContext, @Run() runId: string, fourth?: string): unknown {
    return { input, runId, isContext: context === ctx, fourth };
  }

  @FlowStep()
  @UseGuards(RoleGuard)
  @Role('admin')
  privileged(): string {
    return 'in';
  }

  @FlowStep()
  observable(): unknown {
    return of(1, 2);
  }

  @FlowStep()
  generator(): unknown {
    return [1, 2].values();
  }

  @FlowStep()
  list(): unknown {
    return [1, 2];
  }
}

const providers = [Journal, Steps];

describe('a step within the request pipeline', () => {
  it('gets the message and its context, on the instance of its provider', async () => {
    await using app = await StepApplication.start({ providers });
    expect(await app.handler('plain')(7, ctx)).toEqual({ self: 'Steps', input: 7, isContext: true });
  });

  it('runs guard, interceptor, pipe and method in the order of Nest', async () => {
    await using app = await StepApplication.start({ providers });
    expect(await app.handler('all')(2, ctx)).toBe('<24>');
    expect(app.nest.get(Journal).lines).toEqual(['guard', 'before', 'pipe', 'method run-1', 'after']);
  });

  it('rejects with the guard’s refusal and runs nothing behind it', async () => {
    await using app = await StepApplication.start({ providers });
    await expect(app.handler('all')(3, ctx)).rejects.toBeInstanceOf(ForbiddenException);
    expect(app.nest.get(Journal).lines).toEqual(['guard']);
  });

  it('takes what an exception filter returns for the result, and leaves other errors alone', async () => {
    await using app = await StepApplication.start({ providers });
    const handler = app.handler('overflows');
    expect(await handler(11, ctx)).toEqual({ handled: 'too much', of: 11 });
    await expect(handler(1, ctx)).rejects.toThrow(new RangeError('too little'));
  });

  it('passes an error on when the filter returned nothing, though by a promise', async () => {
    await using app = await StepApplication.start({ providers });
    const error = new Error('seen');
    await expect(app.handler('fails')(error, ctx)).rejects.toBe(error);
    expect(LookingFilter.seen).toEqual([error]);
  });

  it('shows a wish to retry later to no filter', async () => {
    await using app = await StepApplication.start({ providers });
    LookingFilter.seen.length = 0;
    const later = new RetryLater('5s');
    await expect(app.handler('fails')(later, ctx)).rejects.toBe(later);
    expect(LookingFilter.seen).toEqual([]);
  });

  it('resolves parameter decorators, whose values pass the pipes as everywhere in Nest', async () => {
    await using app = await StepApplication.start({ providers });
    expect(await app.handler('decorated')(1, ctx)).toEqual({
      input: 11,
      runId: 'run-110',
      isContext: true,
      fourth: undefined,
    });
  });

  it('lets guards read the metadata of the method by its handler', async () => {
    await using app = await StepApplication.start({ providers });
    const handler = app.handler('privileged');
    expect(await handler(1, fakeFlowContext({ metadata: { role: 'admin' } }))).toBe('in');
    await expect(handler(1, ctx)).rejects.toBeInstanceOf(ForbiddenException);
  });

  it('refuses results that stand for several messages', async () => {
    await using app = await StepApplication.start({ providers });
    await expect(app.handler('observable')(1, ctx)).rejects.toBeInstanceOf(TerminalError);
    await expect(app.handler('generator')(1, ctx)).rejects.toBeInstanceOf(TerminalError);
    expect(await app.handler('list')(1, ctx)).toEqual([1, 2]);
  });

  it('keeps concurrent calls apart', async () => {
    await using app = await StepApplication.start({ providers });
    const handler = app.handler('all');
    const results = Array.from({ length: 50 }, (_, n) => handler(n * 2, fakeFlowContext({ runId: `run-${n}` })));
    expect(await Promise.all(results)).toEqual(Array.from({ length: 50 }, (_, n) => `<${(n * 2 + 10) * 2}>`));
  });
});

describe('enhancers of the whole application', () => {
  it('apply to steps', async () => {
    const seen: ArgumentMetadata[] = [];
    const recording: PipeTransform = {
      transform: (value: unknown, metadata) => {
        seen.push(metadata);
        return value;
      },
    };
    await using app = await StepApplication.start({
      providers: [
        ...providers,
        { provide: APP_GUARD, useClass: EvenOnly },
        { provide: APP_INTERCEPTOR, useClass: Around },
        { provide: APP_FILTER, useClass: OverflowFilter },
        { provide: APP_PIPE, useValue: recording },
      ],
    });
    expect(await app.handler('list')(2, ctx)).toBe('<1,2>');
    expect(await app.handler('overflows')(12, ctx)).toEqual({ handled: 'too much', of: 12 });
    await expect(app.handler('list')(1, ctx)).rejects.toBeInstanceOf(ForbiddenException);
    expect(seen).toEqual([
      { type: 'body', metatype: undefined, data: undefined },
      { type: 'body', metatype: Number, data: undefined },
    ]);
  });
});
