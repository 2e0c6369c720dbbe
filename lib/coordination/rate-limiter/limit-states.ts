import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import type { ChangeFunction } from '../../store/engine/change.js';

/** Where the states of a limiter's keys are kept. */
export interface LimitStates {
  /** For errors and spans. */
  readonly bucket: string;
  /** Applies a function to the state of a key, and stores what it has changed; runs it again when another process came first. */
  change(key: string, change: ChangeFunction<RateLimitState>, signal?: AbortSignal): Promise<unknown>;
  /** The state of a key, as the leader has it; `undefined` when there is none. */
  read(key: string, signal?: AbortSignal): Promise<RateLimitState | undefined>;
  /** Deletes the state of a key. */
  remove(key: string, signal?: AbortSignal): Promise<unknown>;
}
