import { clone } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RateLimitStateSchema } from '../../../../lib/codec/gen/flow/v1/rate_limit_pb.js';
import { LeasedUnits } from '../../../../lib/coordination/rate-limiter/leased-units.js';
import { Quota } from '../../../../lib/coordination/rate-limiter/quota.js';

const START = 1_700_000_000_000;
const HOLD_MS = 100;
const LIMIT = 100_000;

it('are left unused up to one and a half times a batch per hold, whatever is asked for when', async () => {
  // Each: so many milliseconds later, so many ask at once.
  const series = fc.array(fc.tuple(fc.oneof(fc.nat(5), fc.nat(300)), fc.integer({ min: 1, max: 30 })), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), series, async (size, asked) => {
      const limit = {
        name: 'test',
        algorithm: 'sliding-window',
        limit: LIMIT,
        windowMs: 3_600_000,
        burst: LIMIT,
      } as const;
      const quota = new Quota([limit], HOLD_MS);
      const state = quota.unused();
      let now = START;
      let taken = 0;
      const leases = new LeasedUnits({
        quota,
        now: () => now,
        size,
        holdMs: HOLD_MS,
        ask: (_key, take) => {
          const units = take(quota.available(state, now));
          if (units > 0) quota.add(state, now, units);
          return Promise.resolve({ taken: units, state: clone(RateLimitStateSchema, state), decidedAtMs: now });
        },
        onLeased: (units) => (taken += units),
      });
      let used = 0;
      for (const [pause, count] of asked) {
        now += pause;
        const decisions = Array.from(
          { length: count },
          async () => leases.use('key', 1, now) ?? (await leases.consume('key', 1)),
        );
        used += (await Promise.all(decisions)).filter(({ allowed }) => allowed).length;
        const holds = Math.floor((now - START) / HOLD_MS) + 1;
        expect(taken - used).toBeLessThanOrEqual(holds * 1.5 * size);
      }
      leases.close();
    }),
    { numRuns: 300 },
  );
});

it('are taken in batches of a limit that 32 bits do not hold', async () => {
  const limit = 3_000_000_000;
  const quota = new Quota([{ name: 'test', algorithm: 'fixed-window', limit, windowMs: 3_600_000, burst: limit }]);
  const state = quota.unused();
  let asked = 0;
  const leases = new LeasedUnits({
    quota,
    now: () => START,
    size: 64,
    holdMs: HOLD_MS,
    ask: (_key, take) => {
      asked += 1;
      const units = take(quota.available(state, START));
      if (units > 0) quota.add(state, START, units);
      return Promise.resolve({ taken: units, state: clone(RateLimitStateSchema, state), decidedAtMs: START });
    },
    onLeased: () => undefined,
  });
  for (let used = 0; used < 1_000; used++) await (leases.use('key', 1, START) ?? leases.consume('key', 1));
  // 1, 2, 4 … 64, and of those a new batch for every half that is used.
  expect(asked).toBeLessThan(40);
  leases.close();
});
