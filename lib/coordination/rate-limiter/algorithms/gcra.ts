import { create } from '@bufbuild/protobuf';
import { GcraUseSchema, type GcraUse } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import type { Limit, LimitAlgorithm } from './limit-algorithm.js';

/** What sums of fractions may be off by, in units. */
const ROUNDING = 1e-6;

/**
 * The generic cell rate algorithm, seen as the leaky bucket that it equals: units fill a bucket of `burst`, which leaks `limit` per
 * window, evenly. In any span of time at most `burst` units are used, plus what leaks in it.
 */
export class Gcra implements LimitAlgorithm<GcraUse> {
  readonly capacity: number;
  readonly retentionMs: number;
  /** Units per millisecond. */
  private readonly rate: number;
  /** The bucket; with leases it is no whole number. */
  private readonly burst: number;

  constructor({ limit, windowMs, burst }: Limit) {
    this.burst = burst;
    this.capacity = Math.floor(burst + ROUNDING);
    this.rate = limit / windowMs;
    this.retentionMs = Math.ceil((2 * burst) / this.rate);
  }

  unused(): GcraUse {
    return create(GcraUseSchema);
  }

  available(use: GcraUse, now: number): number {
    return Math.floor(this.burst - this.levelAt(use, now) + ROUNDING);
  }

  add(use: GcraUse, now: number, units: number): void {
    const level = this.levelAt(use, now) + units;
    use.level = Math.min(Math.max(0, level), 2 * this.burst);
    use.atMs = now;
  }

  waitFor(use: GcraUse, now: number, cost: number): number {
    const excess = this.levelAt(use, now) + cost - this.burst - ROUNDING;
    return excess <= 0 ? 0 : Math.ceil(excess / this.rate);
  }

  resetAfter(use: GcraUse, now: number): number {
    return Math.max(0, this.levelAt(use, now) - ROUNDING) / this.rate;
  }

  private levelAt(use: GcraUse, now: number): number {
    return Math.max(0, use.level - (now - use.atMs) * this.rate);
  }
}
