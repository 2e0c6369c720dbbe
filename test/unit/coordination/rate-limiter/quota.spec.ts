import { clone, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimitStateSchema, type RateLimitState } from '../../../../lib/codec/gen/flow/v1/rate_limit_pb.js';
import type { Limit } from '../../../../lib/coordination/rate-limiter/algorithms/limit-algorithm.js';
import { Quota } from '../../../../lib/coordination/rate-limiter/quota.js';
import { models, type Used } from './models.js';

const algorithms = ['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const;

const limitOf = (algorithm: Limit['algorithm']): fc.Arbitrary<Limit> =>
  fc
    .record({ limit: fc.integer({ min: 1, max: 20 }), windowMs: fc.integer({ min: 1, max: 1_000 }), more: fc.nat(10) })
    .map(({ limit, windowMs, more }) => ({
      name: 'test',
      algorithm,
      limit,
      windowMs,
      burst: algorithm === 'gcra' ? Math.max(1, limit - 5 + more) : limit,
    }));
const anyLimit = fc.constantFrom(...algorithms).chain(limitOf);
const attempts = fc.array(fc.record({ pause: fc.nat(400), cost: fc.integer({ min: 1, max: 8 }) }), { maxLength: 60 });
const START = 1_700_000_000_000;

/** Uses `cost` when it is available. */
function consume(quota: Quota, state: RateLimitState, now: number, cost: number): boolean {
  if (quota.available(state, now) < cost) return false;
  quota.add(state, now, cost);
  return true;
}

const limit = (algorithm: Limit['algorithm'], count: number, windowMs: number, burst = count): Limit => ({
  name: `${algorithm} ${count}/${windowMs}`,
  algorithm,
  limit: count,
  windowMs,
  burst,
});

describe.each(algorithms)('%s', (algorithm) => {
  it('allows what its definition allows, over any series of attempts', () => {
    fc.assert(
      fc.property(limitOf(algorithm), attempts, (one, series) => {
        const quota = new Quota([one]);
        let state = quota.unused();
        const uses: Used[] = [];
        let now = START;
        for (const { pause, cost } of series) {
          now += pause;
          expect(quota.available(state, now)).toBe(models[algorithm](one, uses, now));
          if (consume(quota, state, now, cost)) uses.push({ at: now, units: cost });
          // As it is stored and read again.
          state = quota.fit(fromBinary(RateLimitStateSchema, toBinary(RateLimitStateSchema, state)));
        }
      }),
    );
  });

  it('says exactly how long to wait', () => {
    fc.assert(
      fc.property(limitOf(algorithm), attempts, fc.integer({ min: 1, max: 8 }), (one, series, wanted) => {
        const quota = new Quota([one]);
        const state = quota.unused();
        let now = START;
        for (const { pause, cost } of series) consume(quota, state, (now += pause), cost);
        const cost = Math.min(wanted, quota.capacity);
        const { retryAfterMs, resetAfterMs } = quota.decision(state, now, false, cost);
        expect(quota.available(state, now + retryAfterMs)).toBeGreaterThanOrEqual(cost);
        if (retryAfterMs > 1) expect(quota.available(state, now + retryAfterMs - 1.01)).toBeLessThan(cost);
        expect(quota.available(state, now + resetAfterMs)).toBe(quota.capacity);
      }),
    );
  });

  it('has everything again after its retention, whatever penalties there were', () => {
    fc.assert(
      fc.property(
        limitOf(algorithm),
        fc.array(fc.tuple(fc.nat(100), fc.integer({ min: 1, max: 100 }))),
        (one, penalties) => {
          const quota = new Quota([one]);
          const state = quota.unused();
          let now = START;
          for (const [pause, units] of penalties) quota.add(state, (now += pause), units);
          expect(quota.available(state, now)).toBeGreaterThanOrEqual(-quota.capacity - 1);
          expect(quota.available(state, now + quota.retentionMs)).toBe(quota.capacity);
        },
      ),
    );
  });

  it('gives back no more than was used', () => {
    fc.assert(
      fc.property(limitOf(algorithm), attempts, fc.integer({ min: 1, max: 30 }), (one, series, units) => {
        const quota = new Quota([one]);
        const state = quota.unused();
        let now = START;
        for (const { pause, cost } of series) consume(quota, state, (now += pause), cost);
        const before = quota.available(state, now);
        quota.add(state, now, -units);
        const after = quota.available(state, now);
        expect(after).toBeGreaterThanOrEqual(Math.min(quota.capacity, before + units) - 1);
        expect(after).toBeLessThanOrEqual(Math.min(quota.capacity, before + units));
      }),
    );
  });
});

it.each(['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const)(
  'says from when on more than what is left can be used: %s',
  (algorithm) => {
    const quota = new Quota([limit(algorithm, 4, 4_000)]);
    const state = quota.unused();
    for (let used = 1; used <= 4; used++) {
      quota.add(state, START + used, 1);
      const [status] = quota.decision(state, START + used, true, 1).limits;
      const { remaining, moreAfterMs = 0 } = status!;
      expect(remaining).toBe(4 - used);
      expect(quota.available(state, START + used + moreAfterMs - 1.01)).toBe(remaining);
      expect(quota.available(state, START + used + moreAfterMs)).toBeGreaterThan(remaining);
    }
  },
);

describe('several limits', () => {
  it('are used together or not at all', () => {
    fc.assert(
      fc.property(fc.array(anyLimit, { minLength: 2, maxLength: 4 }), attempts, (limits, series) => {
        const quota = new Quota(limits);
        const state = quota.unused();
        const uses: Used[] = [];
        let now = START;
        for (const { pause, cost } of series) {
          now += pause;
          const left = Math.min(...limits.map((one) => models[one.algorithm](one, uses, now)));
          expect(quota.available(state, now)).toBe(left);
          const allowed = consume(quota, state, now, cost);
          expect(allowed).toBe(left >= cost);
          if (allowed) uses.push({ at: now, units: cost });
        }
      }),
    );
  });

  it('are decided by the one to wait for longest, or of which least is left', () => {
    const quota = new Quota([limit('fixed-window', 2, 1_000), limit('fixed-window', 3, 60_000)]);
    const state = quota.unused();
    quota.add(state, START, 1);
    expect(quota.decision(state, START, true, 1)).toMatchObject({
      allowed: true,
      limit: 2,
      remaining: 1,
      retryAfterMs: 0,
    });
    quota.add(state, START, 1);
    expect(quota.decision(state, START, false, 1)).toMatchObject({ limit: 2, remaining: 0, retryAfterMs: 1_000 });
    quota.add(state, START + 1_000, 1);
    const denied = quota.decision(state, START + 1_000, false, 1);
    expect(denied).toMatchObject({ limit: 3, remaining: 0, retryAfterMs: 59_000, resetAfterMs: 59_000 });
    expect(denied.resetAt).toEqual(new Date(START + 60_000));
    expect(denied.limits.map(({ remaining }) => remaining)).toEqual([1, 0]);
  });
});

describe('a state', () => {
  it('never goes back in time, whatever clock decides', () => {
    fc.assert(
      fc.property(
        anyLimit,
        fc.array(fc.tuple(fc.integer({ min: -5_000, max: 500 }), fc.integer({ min: 1, max: 3 }))),
        (one, steps) => {
          const quota = new Quota([one]);
          const jumping = quota.unused();
          const steady = quota.unused();
          let latest = START;
          for (const [by, cost] of steps) {
            const now = latest + by;
            const before = jumping.atMs;
            const allowed = consume(quota, jumping, now, cost);
            // As if the clock had stood still instead of going back.
            expect(consume(quota, steady, Math.max(now, steady.atMs), cost)).toBe(allowed);
            expect(jumping.atMs).toBeGreaterThanOrEqual(before);
            latest = Math.max(latest, now);
          }
        },
      ),
    );
  });

  it('of other options counts as unused, limit by limit', () => {
    const before = new Quota([limit('fixed-window', 2, 1_000), limit('gcra', 5, 60_000)]);
    const state = before.unused();
    before.add(state, START, 2);
    const grown = new Quota([
      limit('fixed-window', 4, 1_000),
      limit('gcra', 5, 30_000),
      limit('sliding-log', 3, 1_000),
    ]);
    const fitted = grown.fit(clone(RateLimitStateSchema, state));
    expect(grown.decision(fitted, START, true, 0).limits.map(({ remaining }) => remaining)).toEqual([2, 5, 3]);
    expect(new Quota([limit('fixed-window', 1, 1_000)]).available(before.fit(state), START)).toBe(-1);
    expect(before.available(before.fit(create(RateLimitStateSchema)), START)).toBe(2);
  });

  it('is counted by each of several instances with options of their own, as while a new version is rolled out', () => {
    const instances = [
      new Quota([limit('gcra', 10, 60_000)]),
      new Quota([limit('gcra', 10, 30_000), limit('sliding-window', 20, 60_000)]),
      new Quota([limit('fixed-window', 10, 60_000)]),
    ];
    let state = create(RateLimitStateSchema);
    const allowed = instances.map(() => 0);
    for (let index = 0; index < 120; index++) {
      const quota = instances[index % 3] as Quota;
      state = quota.fit(fromBinary(RateLimitStateSchema, toBinary(RateLimitStateSchema, state)));
      if (consume(quota, state, START + index, 1)) allowed[index % 3] = (allowed[index % 3] ?? 0) + 1;
    }
    expect(allowed).toEqual([10, 10, 10]);
    expect(state.limits).toHaveLength(4);
  });

  it('goes on with what it has used when others have used something meanwhile', () => {
    const mine = new Quota([limit('gcra', 10, 10_000)]);
    const other = new Quota([limit('gcra', 10, 20_000)]);
    const state = mine.unused();
    mine.add(state, START, 10);
    for (let at = 1; at <= 5_000; at += 100) other.add(other.fit(state), START + at, 0.1);
    expect(mine.available(mine.fit(state), START + 5_000)).toBe(5);
  });
});
