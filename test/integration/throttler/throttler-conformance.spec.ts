import { create } from '@bufbuild/protobuf';
import { ThrottlerStorageService } from '@nestjs/throttler';
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { Coordination } from 'nestjs-jetstream-flow';
import { FlowThrottlerStorage } from 'nestjs-jetstream-flow/throttler';
import { ThrottlerStateSchema } from '../../../lib/codec/gen/flow/v1/throttler_pb.js';
import { throttle } from '../../../lib/throttler/throttle.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { throttlerConformance, type OpenStorages } from './throttler-conformance.js';

const at = useFlowServer();
const START = 1_700_000_000_000;
let names = 0;

/** Storages of two applications, whose view of the server's clock stands still between the times that a test has pass. */
async function openFlowStorages(): Promise<OpenStorages> {
  const name = `conformance-${++names}`;
  const apps = [await startFlowApp(at.url, []), await startFlowApp(at.url, [])] as const;
  let now = START;
  for (const app of apps) {
    const clock = await app.get(Coordination).open((room) => room.clock())();
    vi.spyOn(clock, 'now').mockImplementation(() => now);
  }
  const [one, other] = apps.map((app) => new FlowThrottlerStorage(app.get(Coordination), { name }));
  return {
    one: one!,
    other: other!,
    pass: (ms) => {
      now += ms;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(apps.map((app) => app.close()));
    },
  };
}

function openOwnStorages(): Promise<OpenStorages> {
  let now = START;
  const date = vi.spyOn(Date, 'now').mockImplementation(() => now);
  const [one, other] = [new ThrottlerStorageService(), new ThrottlerStorageService()];
  return Promise.resolve({
    one,
    other,
    pass: (ms) => {
      now += ms;
    },
    [Symbol.asyncDispose]() {
      for (const storage of [one, other]) storage.onApplicationShutdown();
      date.mockRestore();
      return Promise.resolve();
    },
  });
}

throttlerConformance('FlowThrottlerStorage', { open: openFlowStorages, ofFlood: 10 });
// Each instance counts for itself: that is what the other one is for.
throttlerConformance('ThrottlerStorageService', { open: openOwnStorages, ofFlood: 20 });

it(
  'answers as the pure function does, also from what a process knows of blocked keys',
  { timeout: 60_000 },
  async () => {
    await using storages = await openFlowStorages();
    let keys = 0;
    const hits = fc.array(
      fc.record({ pause: fc.oneof(fc.constant(0), fc.nat(1_500)), more: fc.nat(1), instance: fc.nat(1) }),
      { maxLength: 25 },
    );
    const settings = {
      ttlMs: fc.integer({ min: 1, max: 5_000 }),
      limit: fc.integer({ min: 0, max: 4 }),
      blockMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5_000 })),
    };
    await fc.assert(
      fc.asyncProperty(fc.record(settings), hits, async ({ ttlMs, limit, blockMs }, series) => {
        const key = `key-${++keys}`;
        const state = create(ThrottlerStateSchema);
        const isOneLimit = new Set(series.map(({ more }) => more)).size < 2;
        let now = START;
        storages.pass(10_000);
        for (const { pause, more, instance } of series) {
          storages.pass(pause);
          now += pause;
          const hit = { ttlMs, limit: limit + more, blockMs };
          const { record } = throttle(state, hit, now);
          const storage = instance === 0 ? storages.one : storages.other;
          const told = await storage.increment(key, ttlMs, hit.limit, blockMs, 'test');
          const { isBlocked, timeToBlockExpire, totalHits } = record;
          expect(told.isBlocked).toBe(isBlocked);
          // Another process may have let more hits through than the one that answers knows of.
          if (isOneLimit) expect(told.totalHits).toBe(totalHits);
          if (isOneLimit && limit > 0) expect(told.timeToBlockExpire).toBe(timeToBlockExpire);
          // Of a window that begins anew while it is blocked, each process knows by itself.
          expect(Math.abs(told.timeToExpire - record.timeToExpire)).toBeLessThanOrEqual(Math.ceil(ttlMs / 1_000));
        }
      }),
      { numRuns: 60 },
    );
  },
);
