import { create } from '@bufbuild/protobuf';
import { RateLimitStateSchema, type RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import type { ChangeFunction } from '../../store/engine/change.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { ObjectStore } from '../../store/engine/object-store.js';
import type { LimitStates } from './limit-states.js';
import { limiterKey } from './limiter-key.js';

/** The states of a limiter's keys as state objects; changed by functions only. */
export class RateLimitStates implements KvReducer<RateLimitState, never, string> {
  key(key: string): string {
    return key;
  }
  empty(): RateLimitState {
    return create(RateLimitStateSchema);
  }
  apply(_state: RateLimitState): void {
    // Nothing is an input.
  }
}

/** Each key's state as an entry of its own. */
export class KeyStates implements LimitStates {
  constructor(private readonly store: ObjectStore<RateLimitStates>) {}

  get bucket(): string {
    return this.store.bucket;
  }

  change(key: string, change: ChangeFunction<RateLimitState>, signal?: AbortSignal): Promise<unknown> {
    return this.store.write('modify', limiterKey(key), optionsOf(signal), change);
  }

  read(key: string, signal?: AbortSignal): Promise<RateLimitState | undefined> {
    return this.store.read(limiterKey(key), optionsOf(signal));
  }

  remove(key: string, signal?: AbortSignal): Promise<unknown> {
    return this.store.delete(limiterKey(key), optionsOf(signal));
  }
}

const NO_OPTIONS = {};

function optionsOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? NO_OPTIONS : { signal };
}
