import { create } from '@bufbuild/protobuf';
import { RateLimitStateSchema, type RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { ObjectStore } from '../../store/engine/object-store.js';
import type { ChangingStates, LimitStates, StatesChange } from './limit-states.js';
import { limiterKey } from './limiter-key.js';
import type { LaneTurns } from './lane-turns.js';

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

/** Each key's state as an entry of its own, and each key a lane. */
export class KeyStates implements LimitStates {
  constructor(
    private readonly store: ObjectStore<RateLimitStates>,
    private readonly turns: LaneTurns,
  ) {}

  get bucket(): string {
    return this.store.bucket;
  }

  laneOf(key: string): string {
    return key;
  }

  change(key: string, change: StatesChange, signal?: AbortSignal): Promise<unknown> {
    const stored = limiterKey(key);
    return this.turns.take(stored.text, () =>
      this.store.write('modify', stored, optionsOf(signal), (before) => {
        const state = new OneState(before);
        change(state);
        return state.after === undefined ? KEEP : { kind: 'write', state: state.after };
      }),
    );
  }

  read(key: string, signal?: AbortSignal): Promise<RateLimitState | undefined> {
    return this.store.read(limiterKey(key), optionsOf(signal));
  }

  remove(key: string, signal?: AbortSignal): Promise<unknown> {
    return this.store.delete(limiterKey(key), optionsOf(signal));
  }

  /** Takes no turns any more; whoever has opened the store closes it. */
  close(): Promise<void> {
    this.turns.close();
    return Promise.resolve();
  }
}

/** The state of the only key of its lane. */
class OneState implements ChangingStates {
  after: RateLimitState | undefined;

  constructor(private readonly before: RateLimitState | undefined) {}

  get(): RateLimitState | undefined {
    return this.before;
  }

  put(_key: string, state: RateLimitState): void {
    this.after = state;
  }
}

const KEEP = { kind: 'keep' } as const;
const NO_OPTIONS = {};

function optionsOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? NO_OPTIONS : { signal };
}
