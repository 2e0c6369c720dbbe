import {
  createParamDecorator,
  Injectable,
  Scope,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type CallHandler,
  type CanActivate,
  type NestInterceptor,
  type PipeTransform,
  type Provider,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import type { Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { FlowStep } from '../../../../lib/flow/decorators/flow-step.decorator.js';
import { fakeFlowContext } from '../../../support/flow-steps.js';
import { StepApplication } from '../../../support/step-application.js';

const seen: string[] = [];

@Injectable()
class Guard implements CanActivate {
  canActivate(): boolean {
    seen.push('guard');
    return true;
  }
}
@Injectable()
class Interceptor implements NestInterceptor {
  intercept(_: unknown, next: CallHandler): Observable<unknown> {
    seen.push('interceptor');
    return next.handle();
  }
}
@Injectable()
class Pipe implements PipeTransform {
  transform(value: unknown): unknown {
    seen.push('pipe');
    return value;
  }
}
@Injectable({ scope: Scope.REQUEST })
class ScopedGuard extends Guard {}
@Injectable({ scope: Scope.REQUEST })
class ScopedInterceptor extends Interceptor {}
@Injectable({ scope: Scope.REQUEST })
class ScopedPipe extends Pipe {}

const Seen = createParamDecorator(() => {
  seen.push('parameter');
  return 'seen';
});

class Bare {
  @FlowStep()
  work(input: unknown): unknown {
    return input;
  }
}
@UseGuards(Guard)
class ClassGuard extends Bare {}
@UseInterceptors(Interceptor)
class ClassInterceptor extends Bare {}
@UsePipes(Pipe)
class ClassPipe extends Bare {}
class MethodGuard {
  @FlowStep()
  @UseGuards(Guard)
  work(input: unknown): unknown {
    return input;
  }
}
class MethodInterceptor {
  @FlowStep()
  @UseInterceptors(Interceptor)
  work(input: unknown): unknown {
    return input;
  }
}
class MethodPipe {
  @FlowStep()
  @UsePipes(Pipe)
  work(input: unknown): unknown {
    return input;
  }
}
class Parameter {
  @FlowStep()
  work(input: unknown, @Seen() _: unknown): unknown {
    return input;
  }
}

const cases: { where: string; step: Provider; also?: Provider; runs: string[] }[] = [
  { where: 'nowhere', step: Bare, runs: [] },
  { where: 'guard of the class', step: ClassGuard, runs: ['guard'] },
  { where: 'interceptor of the class', step: ClassInterceptor, runs: ['interceptor'] },
  { where: 'pipe of the class', step: ClassPipe, runs: ['pipe'] },
  { where: 'guard of the method', step: MethodGuard, runs: ['guard'] },
  { where: 'interceptor of the method', step: MethodInterceptor, runs: ['interceptor'] },
  { where: 'pipe of the method', step: MethodPipe, runs: ['pipe'] },
  { where: 'decorator of a parameter', step: Parameter, runs: ['parameter'] },
  { where: 'global guard', step: Bare, also: { provide: APP_GUARD, useClass: Guard }, runs: ['guard'] },
  {
    where: 'global interceptor',
    step: Bare,
    also: { provide: APP_INTERCEPTOR, useClass: Interceptor },
    runs: ['interceptor'],
  },
  { where: 'global pipe', step: Bare, also: { provide: APP_PIPE, useClass: Pipe }, runs: ['pipe'] },
  { where: 'global scoped guard', step: Bare, also: { provide: APP_GUARD, useClass: ScopedGuard }, runs: ['guard'] },
  {
    where: 'global scoped interceptor',
    step: Bare,
    also: { provide: APP_INTERCEPTOR, useClass: ScopedInterceptor },
    runs: ['interceptor'],
  },
  { where: 'global scoped pipe', step: Bare, also: { provide: APP_PIPE, useClass: ScopedPipe }, runs: ['pipe'] },
];

describe('the enhancers of a step', () => {
  it.each(cases)('are all found when there is one: $where', async ({ step, also, runs }) => {
    await using app = await StepApplication.start({ providers: also === undefined ? [step] : [step, also] });
    seen.length = 0;
    expect(await app.handler('work')('message', fakeFlowContext())).toBe('message');
    expect(seen).toEqual(runs);
  });
});
