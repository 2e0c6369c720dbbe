import type { LimitStatus, RateLimitDecision } from '../rate-limiter/rate-limit-decision.js';

/** Header fields by name. */
export type HeaderFields = Readonly<Record<string, string>>;

/**
 * The header fields `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, as structured fields (RFC 9651), for
 * all decisions about one request.
 */
export function rateLimitFields(decisions: readonly RateLimitDecision[]): HeaderFields {
  const denied = decisions.find(({ allowed }) => !allowed);
  const most = denied === undefined ? Infinity : retryAfterSeconds(denied);
  const limits = decisions.flatMap((decision) => decision.limits);
  return {
    'RateLimit-Policy': limits.map(policyOf).join(', '),
    RateLimit: limits.map((limit) => statusOf(limit, most)).join(', '),
  };
}

/** Value of `Retry-After`: whole seconds, so that a client that waits them is not denied again for a fraction. */
export function retryAfterSeconds({ retryAfterMs }: RateLimitDecision): number {
  return Math.max(1, Math.ceil(retryAfterMs / 1_000));
}

/** Names consist of letters, digits, "-" and "_": nothing has to be escaped. */
function policyOf({ name, limit, windowMs }: LimitStatus): string {
  // The window is in whole seconds; one that is not is left out, which the draft allows.
  const window = windowMs % 1_000 === 0 ? `;w=${windowMs / 1_000}` : '';
  return `"${name}";q=${limit}${window}`;
}

/** `t`: until when no more than `r` can be used. Never beyond `Retry-After`, which the draft asks for. */
function statusOf({ name, remaining, resetAfterMs, moreAfterMs }: LimitStatus, mostSeconds: number): string {
  const seconds = Math.ceil((moreAfterMs ?? resetAfterMs) / 1_000);
  return `"${name}";r=${remaining};t=${Math.min(seconds, mostSeconds)}`;
}
