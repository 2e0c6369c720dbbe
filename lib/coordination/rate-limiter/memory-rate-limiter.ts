import { LRUCache } from 'lru-cache';
import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { checkCost } from './limiter-key.js';
import { Quota } from './quota.js';
import type { RateLimitDecision } from './rate-limit-decision.js';
import { resolveRule, type RateLimitRule } from './rate-limiter.options.js';

/**
 * Limits of this process alone, in memory: as a fallback of a `RateLimiter` while the server is away, or in tests. Keys that were not
 * used for longest are forgotten first.
 */
export class MemoryRateLimiter {
  private readonly quota: Quota;
  private readonly states: LRUCache<string, RateLimitState>;

  /**
   * @param rules one limit, or several that are decided together
   * @param options `maxKeys`: how many keys are kept, 10,000 without it
   * @throws ConfigurationError when a limit has problems.
   */
  constructor(
    rules: RateLimitRule | readonly RateLimitRule[],
    { maxKeys = 10_000 }: { readonly maxKeys?: number } = {},
  ) {
    const list = (Array.isArray as (value: unknown) => value is readonly RateLimitRule[])(rules) ? rules : [rules];
    this.quota = new Quota(list.map((rule) => resolveRule('MemoryRateLimiter', rule)));
    this.states = new LRUCache({ max: maxKeys });
  }

  /** Most units that can be available at once: the largest `cost` that can be allowed. */
  get capacity(): number {
    return this.quota.capacity;
  }

  /** Uses `cost` units, 1 without it, of every limit, or of none. @throws ConfigurationError when they can never be allowed. */
  consume(key: string, { cost = 1 }: { readonly cost?: number } = {}): RateLimitDecision {
    checkCost('in memory', cost, this.quota.capacity);
    const state = this.states.get(key) ?? this.quota.unused();
    const now = performance.timeOrigin + performance.now();
    const allowed = this.quota.available(state, now) >= cost;
    if (allowed) {
      this.quota.add(state, now, cost);
      this.states.set(key, state);
    }
    return this.quota.decision(state, now, allowed, cost, 'fallback').fixed();
  }

  /** What {@link consume} would decide now, without using anything. @throws ConfigurationError as it does. */
  peek(key: string, { cost = 1 }: { readonly cost?: number } = {}): RateLimitDecision {
    checkCost('in memory', cost, this.quota.capacity);
    const state = this.states.peek(key) ?? this.quota.unused();
    const now = performance.timeOrigin + performance.now();
    return this.quota.decision(state, now, this.quota.available(state, now) >= cost, cost, 'fallback').fixed();
  }

  /** Gives all units of the key back. */
  reset(key: string): void {
    this.states.delete(key);
  }
}
