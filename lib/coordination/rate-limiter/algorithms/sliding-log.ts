import { create } from '@bufbuild/protobuf';
import { SlidingLogUseSchema, type SlidingLogUse } from '../../../codec/gen/flow/v1/rate_limit_pb.js';
import type { Limit, LimitAlgorithm } from './limit-algorithm.js';

/**
 * At most `limit` units in the window before each moment, exactly: the time of every use is kept, to the millisecond. Costs
 * about ten bytes per use in every write, so it is for small limits.
 */
export class SlidingLog implements LimitAlgorithm<SlidingLogUse> {
  readonly capacity: number;
  readonly retentionMs: number;
  private readonly windowMs: number;

  constructor({ limit, windowMs }: Limit) {
    this.capacity = limit;
    this.windowMs = windowMs;
    this.retentionMs = windowMs + 1;
  }

  unused(): SlidingLogUse {
    return create(SlidingLogUseSchema);
  }

  available(use: SlidingLogUse, now: number): number {
    return this.capacity - sum(use.units, this.firstOf(use, now));
  }

  add(use: SlidingLogUse, now: number, units: number): void {
    const first = this.firstOf(use, now);
    use.atMs.splice(0, first);
    use.units.splice(0, first);
    if (units < 0) giveBack(use, -units);
    else this.append(use, Math.ceil(now), Math.min(units, 2 * this.capacity - sum(use.units, 0)));
  }

  waitFor(use: SlidingLogUse, now: number, cost: number): number {
    let missing = cost - this.available(use, now);
    if (missing <= 0) return 0;
    for (let index = this.firstOf(use, now); index < use.units.length; index++) {
      missing -= use.units[index] ?? 0;
      if (missing <= 0) return this.endOf(use, index, now);
    }
    return 0;
  }

  resetAfter(use: SlidingLogUse, now: number): number {
    const last = use.units.length - 1;
    return last >= this.firstOf(use, now) ? this.endOf(use, last, now) : 0;
  }

  private append(use: SlidingLogUse, at: number, units: number): void {
    if (units <= 0) return;
    const last = use.units.length - 1;
    if (use.atMs[last] === at) use.units[last] = (use.units[last] ?? 0) + units;
    else {
      use.atMs.push(at);
      use.units.push(units);
    }
  }

  private endOf(use: SlidingLogUse, index: number, now: number): number {
    return Math.max(1, Math.ceil((use.atMs[index] ?? 0) + this.windowMs - now));
  }

  /** Index of the first use that still counts. */
  private firstOf(use: SlidingLogUse, now: number): number {
    const start = now - this.windowMs;
    let first = 0;
    while (first < use.atMs.length && (use.atMs[first] ?? 0) <= start) first++;
    return first;
  }
}

/** Takes the newest uses back. */
function giveBack(use: SlidingLogUse, units: number): void {
  let left = units;
  while (left > 0 && use.units.length > 0) {
    const last = use.units.length - 1;
    const newest = use.units[last] ?? 0;
    if (newest > left) {
      use.units[last] = newest - left;
      return;
    }
    left -= newest;
    use.units.pop();
    use.atMs.pop();
  }
}

function sum(units: readonly number[], from: number): number {
  let total = 0;
  for (let index = from; index < units.length; index++) total += units[index] ?? 0;
  return total;
}
