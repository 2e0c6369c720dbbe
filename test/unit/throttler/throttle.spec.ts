import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ThrottlerStorageService } from '@nestjs/throttler';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ThrottlerStateSchema } from '../../../lib/codec/gen/flow/v1/throttler_pb.js';
import { throttle } from '../../../lib/throttler/throttle.js';

const START = 1_700_000_000_000;

describe('throttle', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('counts as the storage of @nestjs/throttler does, also when hits of a key differ in what they ask for', async () => {
    const blocks = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5_000 }));
    const limits = fc.integer({ min: 1, max: 6 });
    const hits = { pause: fc.integer({ min: 0, max: 2_000 }), limit: limits, blockMs: blocks };
    const cases = fc.record({
      ttlMs: fc.integer({ min: 1, max: 5_000 }),
      hits: fc.oneof(
        fc.record(hits).chain(({ pause: _pause, ...same }) =>
          fc.array(
            fc.record({ pause: hits.pause, limit: fc.constant(same.limit), blockMs: fc.constant(same.blockMs) }),
            {
              maxLength: 60,
            },
          ),
        ),
        fc.array(fc.record(hits), { maxLength: 60 }),
      ),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ hits: series, ttlMs }) => {
        vi.setSystemTime(START);
        const service = new ThrottlerStorageService();
        let state = create(ThrottlerStateSchema);
        for (const { pause, limit, blockMs } of series) {
          vi.setSystemTime(Date.now() + pause);
          const { record, changed } = throttle(state, { ttlMs, limit, blockMs }, Date.now());
          const theirs = await service.increment('key', ttlMs, limit, blockMs, 'test');
          // Theirs is negative without a block.
          expect(record).toEqual({ ...theirs, timeToBlockExpire: Math.max(0, theirs.timeToBlockExpire) });
          if (changed) state = fromBinary(ThrottlerStateSchema, toBinary(ThrottlerStateSchema, state));
        }
        service.onApplicationShutdown();
      }),
      { numRuns: 300 },
    );
  });

  it('changes nothing when it denies', () => {
    const hit = { ttlMs: 1_000, limit: 1, blockMs: 1_000 };
    const state = create(ThrottlerStateSchema);
    expect(throttle(state, hit, START).changed).toBe(true);
    expect(throttle(state, hit, START)).toMatchObject({ changed: true, record: { isBlocked: true } });
    expect(throttle(state, hit, START)).toMatchObject({ changed: false, record: { isBlocked: true } });
    expect(throttle(create(ThrottlerStateSchema), { ...hit, limit: 0, blockMs: 0 }, START)).toEqual({
      changed: false,
      record: { totalHits: 1, timeToExpire: 1, isBlocked: true, timeToBlockExpire: 1 },
    });
  });

  it('keeps its state small under any limit, and counts hits a little longer for it', () => {
    const hit = { ttlMs: 10_000, limit: 5_000, blockMs: 0 };
    const state = create(ThrottlerStateSchema);
    let allowed = 0;
    for (let at = 0; at < 10_000; at++) if (!throttle(state, hit, START + at).record.isBlocked) allowed += 1;
    expect(allowed).toBe(5_000);
    expect(toBinary(ThrottlerStateSchema, state).length).toBeLessThan(6_000);
    expect(throttle(state, hit, START + 20_000).record.totalHits).toBe(1);
  });

  it('is not led back in time by a clock that is behind', () => {
    const hit = { ttlMs: 1_000, limit: 1, blockMs: 0 };
    const state = create(ThrottlerStateSchema);
    throttle(state, hit, START);
    expect(throttle(state, hit, START - 60_000).record).toMatchObject({ isBlocked: true, timeToBlockExpire: 1 });
  });
});
