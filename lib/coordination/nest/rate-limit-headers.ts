import { decides, type LimitStatus, type RateLimitDecision } from '../rate-limiter/rate-limit-decision.js';

/** Header fields by name. */
export type HeaderFields = Readonly<Record<string, string>>;

/**
 * The header fields `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, as structured fields (RFC 9651), for
 * all decisions about one request. Names are unique, as the draft asks: of limits of one name, such as those of a limiter that was asked
 * for two keys, it tells of the one that allows least.
 */
export function rateLimitFields(decisions: readonly RateLimitDecision[]): HeaderFields {
  const denied = decisions.find(({ allowed }) => !allowed);
  const most = denied === undefined ? Infinity : retryAfterSeconds(denied);
  const limits = uniqueByName(decisions.flatMap((decision) => decision.limits));
  return {
    'RateLimit-Policy': limits.map(policyOf).join(', '),
    RateLimit: limits.map((limit) => statusOf(limit, most)).join(', '),
  };
}

/** In the order in which names come first. */
function uniqueByName(limits: readonly LimitStatus[]): LimitStatus[] {
  const byName = new Map<string, LimitStatus>();
  for (const limit of limits) {
    const other = byName.get(limit.name);
    if (other === undefined || allowsLess(limit, other)) byName.set(limit.name, limit);
  }
  return [...byName.values()];
}

function allowsLess(one: LimitStatus, other: LimitStatus): boolean {
  return decides(one, other) || (!decides(other, one) && moreAfter(one) > moreAfter(other));
}

function moreAfter({ moreAfterMs, resetAfterMs }: LimitStatus): number {
  return moreAfterMs ?? resetAfterMs;
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
function statusOf(limit: LimitStatus, mostSeconds: number): string {
  const seconds = Math.ceil(moreAfter(limit) / 1_000);
  return `"${limit.name}";r=${limit.remaining};t=${Math.min(seconds, mostSeconds)}`;
}
