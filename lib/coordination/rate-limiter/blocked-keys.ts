import { LRUCache } from 'lru-cache';
import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import type { Quota } from './quota.js';
import type { RateLimitDecision } from './rate-limit-decision.js';

/**
 * States of keys that are at their limit, to deny by: as time goes on, others only use more, so what this state does not allow
 * the server would not either. Unless units are given back; those who do so in this process say it.
 */
export class BlockedKeys {
  private readonly states: LRUCache<string, RateLimitState>;

  constructor(
    private readonly quota: Quota,
    max: number,
  ) {
    this.states = new LRUCache({ max });
  }

  /** Keeps a state that something was denied by, or that has nothing left; forgets the key otherwise. */
  learn(key: string, state: RateLimitState, now: number, denied: boolean): void {
    if (denied || this.quota.available(state, now) <= 0) this.states.set(key, state);
    else if (this.states.size > 0) this.states.delete(key);
  }

  /** The denial of `cost`, when it is known to be denied. */
  deny(key: string, cost: number, now: number): RateLimitDecision | undefined {
    const state = this.states.get(key);
    if (state === undefined || this.quota.available(state, now) >= cost) return undefined;
    return this.quota.decision(state, now, false, cost, 'blocked');
  }

  /** Forgets the key: units were given back. */
  lift(key: string): void {
    this.states.delete(key);
  }
}
