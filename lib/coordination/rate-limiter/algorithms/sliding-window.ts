import { create } from '@bufbuild/protobuf';
import { SlidingWindowUseSchema, type SlidingWindowUse } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import type { Limit, LimitAlgorithm } from './limit-algorithm.js';

/** What sums of fractions may be off by, in units. */
const ROUNDING = 1e-6;

/** Units of the window that `now` lies in, and of the one before. */
interface Counts {
  readonly startMs: number;
  readonly current: number;
  readonly previous: number;
}

/**
 * At most `limit` units in the window before each moment, estimated from two counters: those of the current fixed window, and a
 * share of those of the one before, as if they had been used evenly. The estimate is what is held to exactly.
 */
export class SlidingWindow implements LimitAlgorithm<SlidingWindowUse> {
  readonly capacity: number;
  readonly retentionMs: number;
  private readonly windowMs: number;

  constructor({ limit, windowMs }: Limit) {
    this.capacity = limit;
    this.windowMs = windowMs;
    this.retentionMs = 2 * windowMs;
  }

  unused(): SlidingWindowUse {
    return create(SlidingWindowUseSchema);
  }

  available(use: SlidingWindowUse, now: number): number {
    return Math.floor(this.capacity - this.estimate(this.countsAt(use, now), now) + ROUNDING);
  }

  add(use: SlidingWindowUse, now: number, units: number): void {
    const counts = this.countsAt(use, now);
    const current = counts.current + units;
    use.startMs = counts.startMs;
    const weight = this.weightOfPrevious(counts, now);
    const most = Math.max(counts.current, 2 * this.capacity - counts.previous * weight);
    use.current = Math.min(Math.max(0, current), most);
    // More is given back than the current window has.
    const rest = current < 0 && weight > 0 ? -current / weight : 0;
    use.previous = Math.max(0, counts.previous - rest);
  }

  waitFor(use: SlidingWindowUse, now: number, cost: number): number {
    const counts = this.countsAt(use, now);
    if (this.capacity - this.estimate(counts, now) + ROUNDING >= cost) return 0;
    const { startMs, current, previous } = counts;
    const room = this.capacity - current - cost;
    // The share of the window before shrinks until it fits, or else, in the next window, that of the current one does.
    const until =
      room >= 0
        ? startMs + this.windowMs * (1 - room / previous)
        : startMs + this.windowMs * (2 - (this.capacity - cost) / current);
    return Math.max(1, Math.ceil(until - now));
  }

  resetAfter(use: SlidingWindowUse, now: number): number {
    const { startMs, current, previous } = this.countsAt(use, now);
    if (current > 0) return startMs + 2 * this.windowMs - now;
    return previous > 0 ? startMs + this.windowMs - now : 0;
  }

  private countsAt(use: SlidingWindowUse, now: number): Counts {
    const startMs = Math.floor(now / this.windowMs) * this.windowMs;
    if (startMs <= use.startMs) return use;
    const isNext = startMs - use.startMs < 1.5 * this.windowMs;
    return { startMs, current: 0, previous: isNext ? use.current : 0 };
  }

  private weightOfPrevious({ startMs }: Counts, now: number): number {
    return Math.max(0, 1 - (now - startMs) / this.windowMs);
  }

  private estimate(counts: Counts, now: number): number {
    return counts.current + counts.previous * this.weightOfPrevious(counts, now);
  }
}
