import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';

/** States of keys while they are changed. */
export interface ChangingStates {
  /** The state of a key, to be changed; `undefined` when there is none. */
  get(key: string): RateLimitState | undefined;
  /** Sets the state of a key that was asked for. */
  put(key: string, state: RateLimitState): void;
}

/** Changes states; may run several times, of which the last counts. What it throws rejects its change. */
export type StatesChange = (states: ChangingStates) => void;

/** Where the states of a limiter's keys are kept. */
export interface LimitStates {
  /** For errors and spans. */
  readonly bucket: string;
  /** What keys have in common whose states can be changed together: those of one lane. */
  laneOf(key: string): string;
  /** Changes states of one lane, and stores what has changed; again when another process came first. */
  change(lane: string, change: StatesChange, signal?: AbortSignal): Promise<unknown>;
  /** The state of a key, as the leader has it; `undefined` when there is none. */
  read(key: string, signal?: AbortSignal): Promise<RateLimitState | undefined>;
  /** Deletes the state of a key. */
  remove(key: string, signal?: AbortSignal): Promise<unknown>;
  /** Takes no more, and resolves when what is under way has ended. */
  close(): Promise<void>;
}
