import {
  Controller,
  Inject,
  Injectable,
  Scope,
  UseGuards,
  UsePipes,
  type CanActivate,
  type ExecutionContext,
  type PipeTransform,
} from '@nestjs/common';
import {
  APP_GUARD,
  ContextIdFactory,
  REQUEST,
  type ContextId,
  type ContextIdStrategy,
  type HostComponentInfo,
} from '@nestjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import { FlowStep } from '../../../../lib/flow/decorators/flow-step.decorator.js';
import { flowRequestOf } from '../../../../lib/flow/discovery/flow-context-type.js';
import type { FlowRequest } from '../../../../lib/flow/discovery/step-handler.js';
import { fakeFlowContext } from '../../../support/flow-steps.js';
import { StepApplication } from '../../../support/step-application.js';

const ctx = fakeFlowContext();

@Injectable()
class Counter {
  made = 0;
}

@Injectable({ scope: Scope.REQUEST })
class PerMessage {
  constructor(
    @Inject(REQUEST) private readonly request: FlowRequest,
    counter: Counter,
  ) {
    counter.made++;
  }

  @FlowStep()
  scoped(input: unknown): unknown {
    return { input, seen: this.request.input, runId: this.request.ctx.runId };
  }
}

@Injectable({ scope: Scope.TRANSIENT })
class Transient {
  readonly identity = {};
  constructor(readonly counter: Counter) {}
  @FlowStep()
  transient(): unknown {
    return this;
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestGuard implements CanActivate {
  constructor(@Inject(REQUEST) private readonly request: FlowRequest) {}
  canActivate(context: ExecutionContext): boolean {
    return this.request.input === flowRequestOf(context)?.input && this.request.input === 'let me in';
  }
}

@Injectable()
class Guarded {
  @FlowStep()
  @UseGuards(RequestGuard)
  guarded(): string {
    return 'in';
  }
}

@Injectable()
class Plain {
  @FlowStep()
  plain(): string {
    return 'in';
  }
}

@Injectable()
class Trim implements PipeTransform<string, string> {
  constructor(readonly counter: Counter) {}
  transform(value: string): string {
    return this.counter.made === 0 ? value.trim() : value;
  }
}

@Injectable()
class Refuse implements CanActivate {
  constructor(readonly counter: Counter) {}
  canActivate(context: ExecutionContext): boolean {
    return context.getArgByIndex(0) !== 'refuse me';
  }
}

@Controller()
class StepController {
  constructor(readonly counter: Counter) {}
  @FlowStep()
  @UseGuards(Refuse)
  @UsePipes(Trim)
  controlled(input: string): string {
    return `${input}${this.counter.made}`;
  }
}

@Controller({ scope: Scope.REQUEST })
class ScopedController {
  constructor(@Inject(REQUEST) private readonly request: FlowRequest) {}
  @FlowStep()
  @UseGuards(Refuse)
  controlledPerMessage(input: string): unknown {
    return [input, this.request.input];
  }
}

@Injectable({ scope: Scope.TRANSIENT })
class TransientGuard extends Refuse {}

@Controller()
class TransientlyGuarded {
  @FlowStep()
  @UseGuards(TransientGuard)
  step(): void {
    // Never runs.
  }
}

describe('a step of a request-scoped provider', () => {
  it('gets an instance of its own for each message, with the message as REQUEST', async () => {
    await using app = await StepApplication.start({ providers: [Counter, PerMessage] });
    const handler = app.handler('scoped');
    const counter = app.nest.get(Counter);
    expect(counter.made).toBe(0);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, n) => handler(n, fakeFlowContext({ runId: `run-${n}` }))),
    );
    expect(results).toEqual(Array.from({ length: 20 }, (_, n) => ({ input: n, seen: n, runId: `run-${n}` })));
    expect(counter.made).toBe(20);
  });

  it('fails with the error of a constructor', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Broken {
      constructor() {
        throw new RangeError('no instance');
      }
      @FlowStep()
      broken(): void {
        // Never runs.
      }
    }
    await using app = await StepApplication.start({ providers: [Broken] });
    await expect(app.handler('broken')(1, ctx)).rejects.toThrow('no instance');
  });

  it('is guarded by request-scoped guards of its own and of the application', async () => {
    await using app = await StepApplication.start({
      providers: [Guarded, Plain, { provide: APP_GUARD, useClass: RequestGuard, scope: Scope.REQUEST }],
    });
    for (const methodName of ['guarded', 'plain']) {
      expect(await app.handler(methodName)('let me in', ctx)).toBe('in');
      await expect(app.handler(methodName)('let me out', ctx)).rejects.toThrow('Forbidden');
    }
  });
});

it('gives a transient provider a complete instance per message', async () => {
  await using app = await StepApplication.start({ providers: [Counter, Transient] });
  const handler = app.handler('transient');
  const [first, second] = [await handler(1, ctx), await handler(2, ctx)] as [Transient, Transient];
  expect(first).not.toBe(second);
  expect(first.counter).toBe(app.nest.get(Counter));
});

describe('a durable provider', () => {
  class ByTenant implements ContextIdStrategy<FlowRequest> {
    private readonly tenants = new Map<string, ContextId>();
    attach(
      contextId: ContextId,
      request: FlowRequest,
    ): { resolve: (info: HostComponentInfo) => ContextId; payload: object } {
      const tenant = request.ctx.metadata['tenant'] ?? '';
      const shared = this.tenants.get(tenant) ?? ContextIdFactory.create();
      this.tenants.set(tenant, shared);
      return { resolve: (info) => (info.isTreeDurable ? shared : contextId), payload: { tenant } };
    }
  }

  @Injectable({ scope: Scope.REQUEST, durable: true })
  class PerTenant {
    constructor(
      @Inject(REQUEST) private readonly request: { tenant: string },
      counter: Counter,
    ) {
      counter.made++;
    }
    @FlowStep()
    durable(): string {
      return this.request.tenant;
    }
  }

  afterEach(() => {
    ContextIdFactory.apply({ attach: () => undefined });
  });

  it('is shared by the messages that its strategy puts together', async () => {
    ContextIdFactory.apply(new ByTenant());
    await using app = await StepApplication.start({ providers: [Counter, PerTenant] });
    const handler = app.handler('durable');
    const call = (tenant: string): Promise<unknown> => handler(1, fakeFlowContext({ metadata: { tenant } }));
    expect([await call('a'), await call('b'), await call('a'), await call('b')]).toEqual(['a', 'b', 'a', 'b']);
    expect(app.nest.get(Counter).made).toBe(2);
  });
});

describe('a step of a controller', () => {
  it('has its guards and pipes', async () => {
    await using app = await StepApplication.start({ providers: [Counter], controllers: [StepController] });
    const handler = app.handler('controlled');
    expect(await handler(' a ', ctx)).toBe('a0');
    await expect(handler('refuse me', ctx)).rejects.toThrow('Forbidden');
  });

  it('has them also when it is request-scoped', async () => {
    await using app = await StepApplication.start({ providers: [Counter], controllers: [ScopedController] });
    const handler = app.handler('controlledPerMessage');
    expect(await handler('a', ctx)).toEqual(['a', 'a']);
    await expect(handler('refuse me', ctx)).rejects.toThrow('Forbidden');
  });

  it('is refused when it has a transient guard, which Nest could not create', async () => {
    await using app = await StepApplication.start({ providers: [Counter], controllers: [TransientlyGuarded] });
    expect(app.problems()).toEqual([expect.stringContaining('Nest cannot create the transient TransientGuard')]);
  });
});

describe('a provider that no class makes', () => {
  const dependencies = { provide: Guarded, useFactory: () => new Guarded() };

  it('may have steps', async () => {
    await using app = await StepApplication.start({
      providers: [Counter, { provide: 'made', useFactory: () => new Plain() }],
    });
    expect(await app.handler('plain')(1, ctx)).toBe('in');
  });

  it('is refused when it has a guard that Nest would leave out', async () => {
    await using app = await StepApplication.start({ providers: [dependencies] });
    expect(app.problems()).toEqual([
      expect.stringMatching(/\(Guarded\.guarded\): Nest does not apply its guard RequestGuard/),
    ]);
  });
});
