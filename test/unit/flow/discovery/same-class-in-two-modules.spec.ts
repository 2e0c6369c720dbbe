import { Injectable, Module, Scope, UseGuards, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { expect, it } from 'vitest';
import { FlowStep } from '../../../../lib/flow/decorators/flow-step.decorator.js';
import { fakeFlowContext } from '../../../support/flow-steps.js';
import { StepApplication } from '../../../support/step-application.js';

const ctx = fakeFlowContext();

it.each([
  { kind: 'default', scope: Scope.DEFAULT, token: undefined },
  { kind: 'request', scope: Scope.REQUEST, token: undefined },
  { kind: 'default', scope: Scope.DEFAULT, token: 'other name' },
  { kind: 'request', scope: Scope.REQUEST, token: 'other name' },
])(
  'uses its own module’s enhancers when two modules provide a class ($kind scope, $token)',
  async ({ scope, token }) => {
    @Injectable()
    class Who {
      constructor(readonly name: string) {}
    }
    @Injectable({ scope: Scope.TRANSIENT })
    class OnlyFor implements CanActivate {
      constructor(private readonly who: Who) {}
      canActivate(context: ExecutionContext): boolean {
        return context.getArgByIndex(0) === this.who.name;
      }
    }
    @Injectable({ scope })
    class Shared {
      constructor(private readonly who: Who) {}
      @FlowStep()
      @UseGuards(OnlyFor)
      shared(): string {
        return this.who.name;
      }
    }
    @Module({ providers: [Shared, { provide: Who, useFactory: () => new Who('first') }] })
    class FirstModule {}
    @Module({
      providers: [
        { provide: token ?? Shared, useClass: Shared },
        { provide: Who, useFactory: () => new Who('second') },
      ],
    })
    class SecondModule {}

    await using app = await StepApplication.start({ imports: [FirstModule, SecondModule] });
    const places = app.steps.map((step) => step.where);
    expect(places).toEqual(['Shared.shared in FirstModule', 'Shared.shared in SecondModule']);
    const [first, second] = app.handlers();
    expect(await first?.('first', ctx)).toBe('first');
    await expect(first?.('second', ctx)).rejects.toThrow('Forbidden');
    expect(await second?.('second', ctx)).toBe('second');
    await expect(second?.('first', ctx)).rejects.toThrow('Forbidden');
  },
);
