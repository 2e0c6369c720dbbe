import { expect, it } from 'vitest';
import { CancelledError } from '../../../lib/common/errors.js';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import type { CoordinationRoom } from '../../../lib/coordination/coordination-room.js';
import { makeLatch } from '../../../lib/coordination/latch/make-latch.js';
import { makeWaitGroup } from '../../../lib/coordination/wait-group/make-wait-group.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordTelemetry } from '../../support/telemetry.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

/** Something that others are waited for at. */
interface Meeting {
  wait(signal?: AbortSignal): Promise<unknown>;
  /** Lets those go who wait. */
  open(): Promise<unknown>;
  close(): Promise<void>;
}

const meetings: readonly (readonly [kind: string, make: (room: CoordinationRoom) => Promise<Meeting>])[] = [
  [
    'WaitGroup',
    async (room) => {
      const group = makeWaitGroup(room, { name: 'seen' });
      await group.add('k');
      return {
        wait: (signal) => group.wait('k', { signal: signal as AbortSignal }),
        open: () => group.done('k'),
        close: () => group.close(),
      };
    },
  ],
  [
    'CountDownLatch',
    async (room) => {
      const latch = makeLatch(room, { name: 'seen' });
      await latch.set('k', 1);
      return {
        wait: (signal) => latch.wait('k', { signal: signal as AbortSignal }),
        open: () => latch.countDown('k'),
        close: () => latch.close(),
      };
    },
  ],
  [
    'Barrier',
    (room) => {
      const barrier = makeBarrier(room, { name: 'seen', parties: 2 });
      return Promise.resolve({
        wait: (signal) => barrier.arrive('k', { party: 'waits', signal: signal as AbortSignal }),
        open: () => barrier.arrive('k', { party: 'opens' }),
        close: () => barrier.close(),
      });
    },
  ],
];

it.each(meetings)('waits at a %s are spans and metrics, with what came of them', async (kind, make) => {
  await using telemetry = recordTelemetry();
  await using own = await openRoom(at.url);
  const meeting = await make(own.room);
  const spans = () => telemetry.spans().filter(({ name }) => name === `wait ${kind} seen`);
  const begun = (): Promise<unknown> =>
    until(async () => (await at.streams.manager.consumers.list(`KV_${bucketOf[kind]}`).next()).length > 0, {
      what: 'the watch to begin',
    });

  const abort = new AbortController();
  const cancelled = meeting.wait(abort.signal);
  await begun();
  abort.abort();
  await expect(cancelled).rejects.toThrow(CancelledError);
  const waiting = meeting.wait();
  await begun();
  expect(spans()).toHaveLength(1);
  await meeting.open();
  await waiting;

  expect(spans().map(({ attributes }) => attributes)).toMatchObject([
    { 'flow.coordination.outcome': 'cancelled', 'error.type': 'CANCELLED' },
    {
      'flow.coordination.outcome': 'done',
      'flow.coordination.kind': kind,
      'flow.coordination.name': 'seen',
      'flow.coordination.key': 'k',
    },
  ]);
  const waits = await telemetry.metric('flow.coordination.wait');
  expect(waits).toMatchObject([
    { value: { count: 1 }, attributes: { 'flow.coordination.kind': kind, 'flow.coordination.outcome': 'cancelled' } },
    { value: { count: 1 }, attributes: { 'flow.coordination.kind': kind, 'flow.coordination.outcome': 'done' } },
  ]);
  await meeting.close();
});

const bucketOf: Readonly<Record<string, string>> = {
  WaitGroup: 'flow_waitgroup_seen',
  CountDownLatch: 'flow_latch_seen',
  Barrier: 'flow_barrier_seen',
};
