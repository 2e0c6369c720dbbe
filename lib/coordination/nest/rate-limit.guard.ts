import {
  BadRequestException,
  Injectable,
  ServiceUnavailableException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { HttpAdapterHost, ModuleRef } from '@nestjs/core';
import { ConfigurationError, RateLimitedError } from '../../common/errors.js';
import type { RateLimitDecision } from '../rate-limiter/rate-limit-decision.js';
import type { RateLimiter } from '../rate-limiter/rate-limiter.js';
import { isAbsence } from '../rate-limiter/store-fallback.js';
import { getCoordinationToken } from './coordination.tokens.js';
import { rateLimitFields, retryAfterSeconds, type HeaderFields } from './rate-limit-headers.js';
import { getRateLimits, type RateLimitMetadata } from './rate-limit.decorator.js';
import { RateLimitException } from './rate-limit.exception.js';

/**
 * Lets calls through as the `@RateLimit` decorators on method or class say; others it does not touch. Use it with `@UseGuards`, or for
 * the whole application as `APP_GUARD`, behind the guard that knows the user when the key needs it.
 *
 * HTTP, on Express and Fastify: a denial is a 429 with `Retry-After` (`RateLimitException`), and every response tells what is left in
 * the fields `RateLimit` and `RateLimit-Policy` of the IETF draft. A `cost` function that gives what can never be allowed is a 400; a
 * server that does not answer a 503, unless the limiter has `onStoreError`. Elsewhere a denial is a `RateLimitedError`, and `key` must be given.
 */
@Injectable()
export class RateLimitGuard implements CanActivate {
  private readonly limiters = new Map<string, RateLimiter>();

  constructor(
    private readonly modules: ModuleRef,
    private readonly adapters: HttpAdapterHost,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const rules = getRateLimits(context.getHandler()) ?? getRateLimits(context.getClass()) ?? [];
    const told: RateLimitDecision[] = [];
    for (const rule of rules) {
      const { skipIf, headers = true } = rule.options;
      if ((await skipIf?.(context)) === true) continue;
      const decision = await this.decide(rule, context);
      if (headers) told.push(decision);
      if (!decision.allowed) throw this.denial(context, rule.limiter, decision, told);
    }
    if (told.length > 0) this.setHeaders(context, rateLimitFields(told));
    return true;
  }

  private async decide({ limiter, options }: RateLimitMetadata, context: ExecutionContext): Promise<RateLimitDecision> {
    const { key = clientAddress, cost = 1, connection } = options;
    const of: unknown = await key(context);
    if (typeof of !== 'string') {
      throw new ConfigurationError(`@RateLimit("${limiter}") on ${nameOf(context)}`, [
        `key is ${of === undefined ? 'missing for this call' : `no text but of type ${typeof of}`}`,
      ]);
    }
    const units = typeof cost === 'number' ? cost : await cost(context);
    try {
      return await this.limiterOf(limiter, connection).consume(of, { cost: units });
    } catch (error) {
      if (context.getType() !== 'http') throw error;
      // Reckoned from the request: a cost that can never be allowed is the client's mistake, not the application's.
      if (typeof cost === 'function' && error instanceof ConfigurationError)
        throw new BadRequestException('The request costs more than can be allowed, or nothing.', { cause: error });
      if (!isAbsence(error)) throw error;
      throw new ServiceUnavailableException('Rate limits cannot be checked right now. Try again in a moment.', {
        cause: error,
      });
    }
  }

  private limiterOf(name: string, connection: string | undefined): RateLimiter {
    const token = getCoordinationToken('RateLimiter', name, connection);
    let limiter = this.limiters.get(token);
    if (limiter === undefined) {
      limiter = this.modules.get<RateLimiter>(token, { strict: false });
      this.limiters.set(token, limiter);
    }
    return limiter;
  }

  private denial(
    context: ExecutionContext,
    limiter: string,
    decision: RateLimitDecision,
    told: readonly RateLimitDecision[],
  ): Error {
    if (context.getType() !== 'http') return new RateLimitedError(limiter, decision.retryAfterMs);
    const fields = told.length > 0 ? rateLimitFields(told) : {};
    this.setHeaders(context, { ...fields, 'Retry-After': String(retryAfterSeconds(decision)) });
    return new RateLimitException(limiter, decision);
  }

  private setHeaders(context: ExecutionContext, fields: HeaderFields): void {
    if (context.getType() !== 'http') return;
    const response: unknown = context.switchToHttp().getResponse();
    for (const [name, value] of Object.entries(fields)) this.adapters.httpAdapter.setHeader(response, name, value);
  }
}

function clientAddress(context: ExecutionContext): string {
  if (context.getType() === 'http') return context.switchToHttp().getRequest<{ ip: string }>().ip;
  throw new ConfigurationError(`@RateLimit on ${nameOf(context)}`, ['it is not called over HTTP: give a key']);
}

function nameOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}
