import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Limit } from '../../../../lib/coordination/rate-limiter/algorithms/limit-algorithm.js';
import { Quota } from '../../../../lib/coordination/rate-limiter/quota.js';
import type { Used } from './models.js';

const START = 1_700_000_000_000;
const algorithms = ['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const;

/** A batch that is taken `pause` after the one before. */
interface Take {
  readonly pause: number;
  readonly units: number;
  /** How many of its units are used how late: 1 is the last moment in which they may be. */
  readonly uses: readonly { readonly units: number; readonly late: number }[];
}

/** What was taken and what was used, each in the order of time. */
interface Played {
  readonly taken: readonly Used[];
  readonly used: readonly Used[];
}

/** No more of a limit than it says is used, by the definition of its algorithm. */
type Check = (limit: Limit, holdMs: number, played: Played) => void;

const anyTake: fc.Arbitrary<Take> = fc.record({
  pause: fc.oneof(fc.nat(30), fc.nat(300)),
  units: fc.integer({ min: 1, max: 20 }),
  uses: fc.array(
    fc.record({ units: fc.integer({ min: 1, max: 20 }), late: fc.constantFrom(0, 0.25, 0.5, 0.9, 1, 1, 1) }),
    { minLength: 1, maxLength: 3 },
  ),
});
const series: fc.Arbitrary<readonly Take[]> = fc.array(anyTake, { maxLength: 80 });

const limitOf = (algorithm: Limit['algorithm']): fc.Arbitrary<Limit> =>
  fc
    .record({ limit: fc.integer({ min: 2, max: 20 }), windowMs: fc.integer({ min: 50, max: 500 }), more: fc.nat(10) })
    .map(({ limit, windowMs, more }) => ({
      name: 'test',
      algorithm,
      limit,
      windowMs,
      burst: algorithm === 'gcra' ? limit + more : limit,
    }));
/**
 * As much as ever possible at all times, what is taken first as late as possible, and what is taken later at once: so that uses are as
 * close together as they can be.
 */
const greedy: readonly Take[] = Array.from({ length: 15 }, (_, index) => ({
  pause: index === 0 ? 99 : 10,
  units: 20,
  uses: [{ units: 20, late: index < 5 ? 1 : 0 }],
}));
const shares = fc.constantFrom(0.02, 0.05, 0.2, 0.5);

/** Takes batches and uses them, as a process that holds units does. What is not used is lost. */
function play(quota: Quota, holdMs: number, takes: readonly Take[]): Played {
  const state = quota.unused();
  const taken: Used[] = [];
  const used: Used[] = [];
  let now = START;
  for (const { pause, units, uses } of takes) {
    now += pause;
    let left = Math.min(units, Math.max(0, quota.available(state, now)));
    if (left === 0) continue;
    quota.add(state, now, left);
    taken.push({ at: now, units: left });
    const until = Math.min(now + holdMs, quota.usableUntil(state));
    for (const { units: wanted, late } of uses) {
      const some = Math.min(wanted, left);
      left -= some;
      // Units are not used any more at the end itself.
      if (some > 0) used.push({ at: Math.min(now + late * (until - now), until - 0.001), units: some });
    }
  }
  return { taken, used: used.toSorted((a, b) => a.at - b.at) };
}

/** Every span of time from one use to another, with what is used in it. */
function* spansOf(uses: readonly Used[]): Generator<{ readonly lengthMs: number; readonly units: number }> {
  for (const [index, first] of uses.entries()) {
    let units = 0;
    for (const use of uses.slice(index)) yield { lengthMs: use.at - first.at, units: (units += use.units) };
  }
}

/** In any span of time the burst, and what comes back in it. */
const checkGcra: Check = ({ limit, windowMs, burst }, _holdMs, { used }) => {
  for (const { lengthMs, units } of spansOf(used))
    expect(units).toBeLessThanOrEqual(burst + (lengthMs * limit) / windowMs + 0.001);
};

/** The limit in each window. A window begins with the first batch that is taken after the last one. */
const checkFixedWindow: Check = ({ limit, windowMs }, _holdMs, { taken, used }) => {
  const starts: number[] = [];
  for (const { at } of taken) if (at >= (starts.at(-1) ?? -Infinity) + windowMs) starts.push(at);
  let seen = 0;
  for (const start of starts) {
    const units = used
      .filter(({ at }) => at >= start && at < start + windowMs)
      .reduce((sum, use) => sum + use.units, 0);
    expect(units).toBeLessThanOrEqual(limit);
    seen += units;
  }
  expect(seen).toBe(used.reduce((sum, { units }) => sum + units, 0));
};

/** What the estimate lets through, of a window that is longer by the hold: the limit, and a share of it again. */
const checkSlidingWindow: Check = ({ limit, windowMs }, holdMs, { used }) => {
  for (const { lengthMs, units } of spansOf(used)) {
    const share = (lengthMs + holdMs) / (windowMs + holdMs);
    if (share <= 1) expect(units).toBeLessThanOrEqual(limit * (1 + share) + 0.001);
  }
};

/** The limit in any window. */
const checkSlidingLog: Check = ({ limit, windowMs }, _holdMs, { used }) => {
  for (const { lengthMs, units } of spansOf(used)) if (lengthMs < windowMs) expect(units).toBeLessThanOrEqual(limit);
};

const checks: Readonly<Record<Limit['algorithm'], Check>> = {
  gcra: checkGcra,
  'fixed-window': checkFixedWindow,
  'sliding-window': checkSlidingWindow,
  'sliding-log': checkSlidingLog,
};

describe('units that are used up to a hold after they were taken', () => {
  it.each(algorithms)('are no more than the limit has: %s', (algorithm) => {
    fc.assert(
      fc.property(limitOf(algorithm), shares, series, (limit, share, takes: readonly Take[]) => {
        const holdMs = Math.max(1, Math.floor(limit.windowMs * share));
        checks[algorithm](limit, holdMs, play(new Quota([limit], holdMs), holdMs, takes));
      }),
      {
        numRuns: 500,
        examples: [[{ name: 'test', algorithm, limit: 10, windowMs: 100, burst: 10 }, 0.5, greedy]],
      },
    );
  });

  it('are no more than each of several limits has', () => {
    const several = fc.array(fc.constantFrom(...algorithms).chain(limitOf), { minLength: 2, maxLength: 3 });
    fc.assert(
      fc.property(several, shares, series, (limits, share, takes) => {
        const holdMs = Math.max(1, Math.floor(Math.min(...limits.map(({ windowMs }) => windowMs)) * share));
        const played = play(new Quota(limits, holdMs), holdMs, takes);
        for (const limit of limits) checks[limit.algorithm](limit, holdMs, played);
      }),
      { numRuns: 500 },
    );
  });

  it('of a fixed window end with it, of others only with the hold', () => {
    const limit = { name: 'test', limit: 10, windowMs: 1_000, burst: 10 };
    const fixed = new Quota([{ ...limit, algorithm: 'fixed-window' }], 500);
    const state = fixed.unused();
    fixed.add(state, START, 1);
    fixed.add(state, START + 900, 1);
    expect(fixed.usableUntil(state)).toBe(START + 1_000);
    for (const algorithm of ['gcra', 'sliding-window', 'sliding-log'] as const) {
      const other = new Quota([{ ...limit, algorithm }], 500);
      const own = other.unused();
      other.add(own, START, 1);
      expect(other.usableUntil(own)).toBe(Infinity);
    }
  });
});
