import {
  Body,
  Inject,
  Injectable,
  Scope,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import {
  Flow,
  FLOW_CONTEXT_TYPE,
  flow,
  flowRequestOf,
  FlowStep,
  json,
  TerminalError,
  type FlowContext,
  type FlowRequest,
} from 'nestjs-jetstream-flow';
import { tap, type Observable } from 'rxjs';

interface Signup {
  email: string;
}

@Injectable()
export class TenantGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    // Global guards run for HTTP and for steps.
    if (context.getType<string>() !== FLOW_CONTEXT_TYPE) return true;
    return flowRequestOf(context)?.ctx.metadata['tenant'] !== undefined;
  }
}

@Injectable()
export class Timing implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const started = Date.now();
    return next.handle().pipe(tap(() => console.log(context.getHandler().name, Date.now() - started)));
  }
}

export class SignupPipe implements PipeTransform<Signup, Signup> {
  transform(signup: Signup): Signup {
    // Any other error would be retried, and the message would still be wrong.
    if (!signup.email.includes('@')) throw new TerminalError(`"${signup.email}" is not an address`);
    return signup;
  }
}

@Injectable({ scope: Scope.REQUEST })
export class CurrentTenant {
  constructor(@Inject(REQUEST) private readonly request: FlowRequest) {}

  get name(): string {
    return this.request.ctx.metadata['tenant'] ?? 'none';
  }
}

export const Signups = flow('signups', { input: json<Signup>('Signup') });

@Flow(Signups)
@UseGuards(TenantGuard)
export class SignupFlow {
  constructor(private readonly tenant: CurrentTenant) {}

  @UseInterceptors(Timing)
  @FlowStep()
  greet(@Body(SignupPipe) signup: Signup, ctx: FlowContext): void {
    ctx.logger.log(`${signup.email} joins ${this.tenant.name}`);
  }
}
