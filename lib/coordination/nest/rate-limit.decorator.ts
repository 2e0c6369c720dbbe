import type { ExecutionContext } from '@nestjs/common';
import { experimentalDecorator } from '../../common/experimental-decorator.js';

const METADATA = 'nestjs-jetstream-flow:rate-limit';

/** How `@RateLimit` uses a limiter. */
export interface RateLimitOptions {
  /**
   * Whom the units are counted for: the user, the API key, the tenant … @default the client's address (`request.ip`): behind a proxy
   * tell Express or Fastify to trust it, or all clients have the proxy's
   */
  readonly key?: (context: ExecutionContext) => string | Promise<string>;
  /** Units that a call uses. @default 1 */
  readonly cost?: number | ((context: ExecutionContext) => number | Promise<number>);
  /** Calls that are not limited. */
  readonly skipIf?: (context: ExecutionContext) => boolean | Promise<boolean>;
  /** Whether responses tell what is left: `RateLimit` and `RateLimit-Policy`. A denial has `Retry-After` always. @default true */
  readonly headers?: boolean;
  /** Key of the connection, as in `forFeature`. @default the connection without a key */
  readonly connection?: string;
}

/** What `@RateLimit` wrote. */
export interface RateLimitMetadata {
  readonly limiter: string;
  readonly options: RateLimitOptions;
}

/**
 * Limits calls of a method, or of all methods of a class, by the rate limiter of that name; with `RateLimitGuard`. List the limiter in
 * `FlowModule.forFeature({ rateLimiters: [{ name, limit, window }] })`.
 *
 * What a method says replaces what its class says. Several on one method are asked one after the other, the upper one first, and the
 * first denial ends it; what was used until then stays used. For all or nothing, give one limiter several `limits`.
 *
 * A route or step that no guard at all stands before is a `ConfigurationError` at boot. Where there are guards but no `RateLimitGuard`
 * is seen, nor a guard that extends it, the log warns: one of them may ask it.
 */
export function RateLimit(limiter: string, options: RateLimitOptions = {}): ClassDecorator & MethodDecorator {
  const decorate = (target: object, _name?: string | symbol, descriptor?: PropertyDescriptor): void => {
    const place = (descriptor?.value as object | undefined) ?? target;
    const others = (Reflect.getOwnMetadata(METADATA, place) as RateLimitMetadata[] | undefined) ?? [];
    // The lowest decorator comes first.
    Reflect.defineMetadata(METADATA, [{ limiter, options }, ...others], place);
  };
  return experimentalDecorator('RateLimit', decorate);
}

/** What `@RateLimit` says about a class or a method's function; `undefined` when it says nothing. */
export function getRateLimits(target: object): readonly RateLimitMetadata[] | undefined {
  return Reflect.getMetadata(METADATA, target) as RateLimitMetadata[] | undefined;
}
