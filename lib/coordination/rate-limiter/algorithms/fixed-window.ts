import { create } from '@bufbuild/protobuf';
import { FixedWindowUseSchema, type FixedWindowUse } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import type { Limit, LimitAlgorithm } from './limit-algorithm.js';

/**
 * At most `limit` units per window; a window begins with the first unit that is used after the last one. Around the border of two
 * windows up to twice the limit may be used in a short time.
 */
export class FixedWindow implements LimitAlgorithm<FixedWindowUse> {
  readonly capacity: number;
  readonly retentionMs: number;
  private readonly windowMs: number;

  constructor({ limit, windowMs }: Limit) {
    this.capacity = limit;
    this.windowMs = windowMs;
    this.retentionMs = windowMs;
  }

  unused(): FixedWindowUse {
    return create(FixedWindowUseSchema);
  }

  available(use: FixedWindowUse, now: number): number {
    return this.capacity - this.usedAt(use, now);
  }

  add(use: FixedWindowUse, now: number, units: number): void {
    const used = this.usedAt(use, now);
    if (used === 0) use.startMs = now;
    use.used = Math.min(Math.max(0, used + units), 2 * this.capacity);
  }

  waitFor(use: FixedWindowUse, now: number, cost: number): number {
    return this.available(use, now) >= cost ? 0 : Math.ceil(this.resetAfter(use, now));
  }

  resetAfter(use: FixedWindowUse, now: number): number {
    return this.usedAt(use, now) === 0 ? 0 : use.startMs + this.windowMs - now;
  }

  /** When the window of `use` ends; what was allowed in it must not be used later. */
  endOf(use: FixedWindowUse): number {
    return use.startMs + this.windowMs;
  }

  private usedAt(use: FixedWindowUse, now: number): number {
    return now >= use.startMs + this.windowMs ? 0 : use.used;
  }
}
