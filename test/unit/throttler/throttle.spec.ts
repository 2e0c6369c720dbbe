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

  it('counts as the storage of @nestjs/throttler does', async () => {
    const cases = fc.record({
      ttlMs: fc.integer({ min: 1, max: 5_000 }),
      limit: fc.integer({ min: 1, max: 6 }),
      blockMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5_000 })),
      pauses: fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 60 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ pauses, ...hit }) => {
        vi.setSystemTime(START);
        const service = new ThrottlerStorageService();
        let state = create(ThrottlerStateSchema);
        let wasBlocked = false;
        for (const pause of pauses) {
          vi.setSystemTime(Date.now() + pause);
          const { record, changed } = throttle(state, hit, Date.now());
          const theirs = await service.increment('key', hit.ttlMs, hit.limit, hit.blockMs, 'test');
          wasBlocked ||= theirs.isBlocked;
          // Theirs is negative without a block; and it renews the window also when it denies, for which we would have to write.
          const timeToBlockExpire = Math.max(0, theirs.timeToBlockExpire);
          const timeToExpire = wasBlocked ? record.timeToExpire : theirs.timeToExpire;
          expect(record).toEqual({ ...theirs, timeToBlockExpire, timeToExpire });
          if (changed) state = fromBinary(ThrottlerStateSchema, toBinary(ThrottlerStateSchema, state));
        }
        service.onApplicationShutdown();
      }),
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
