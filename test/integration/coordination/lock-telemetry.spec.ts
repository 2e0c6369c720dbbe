import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { CancelledError } from '../../../lib/common/errors.js';
import { LockTimeoutError } from '../../../lib/common/lock-errors.js';
import type { CoordinationRoom } from '../../../lib/coordination/coordination-room.js';
import { makeElection } from '../../../lib/coordination/election/make-election.js';
import type { AcquireOptions } from '../../../lib/coordination/lease/lease.options.js';
import type { Lease } from '../../../lib/coordination/lease/lease.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { makeReadWriteLock } from '../../../lib/coordination/read-write-lock/make-read-write-lock.js';
import { makeSemaphore } from '../../../lib/coordination/semaphore/make-semaphore.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordTelemetry, type RecordedTelemetry } from '../../support/telemetry.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

/** A lock that one may hold at a time. */
interface Lock {
  acquire(key: string, options?: AcquireOptions): Promise<Lease>;
  /** A read-write lock has none. */
  tryAcquire?(key: string): Promise<Lease | undefined>;
  close(): Promise<void>;
}

const locks: readonly (readonly [kind: string, make: (room: CoordinationRoom) => Lock])[] = [
  ['Mutex', (room) => makeMutex(room, { name: 'seen' })],
  ['Semaphore', (room) => makeSemaphore(room, { name: 'seen', permits: 1 })],
  [
    'ReadWriteLock',
    (room) => {
      const lock = makeReadWriteLock(room, { name: 'seen' });
      return {
        acquire: (key, options) => lock.acquireExclusive(key, options),
        close: () => lock.close(),
      };
    },
  ],
];

/** What `key` has at the spans of a name, in the order in which they ended. */
function spansOf(telemetry: RecordedTelemetry, name: string, key: string): unknown[] {
  return telemetry
    .spans()
    .filter((span) => span.name === name)
    .map(({ attributes }) => attributes[key]);
}

/** How many waits for a lease had which outcome. */
async function outcomes(telemetry: RecordedTelemetry, wanted: Attributes): Promise<Record<string, number>> {
  const points = (await telemetry.metric('flow.lock.wait')).filter(({ attributes }) =>
    Object.entries(wanted).every(([name, value]) => attributes[name] === value),
  );
  return Object.fromEntries(
    points.map(({ attributes, value }) => [
      String(attributes['flow.lock.outcome']),
      (value as { readonly count: number }).count,
    ]),
  );
}

it('records waits and holds as spans and metrics, and counts lost leases', async () => {
  await using telemetry = recordTelemetry();
  await using own = await openRoom(at.url);
  const mutex = own.use(makeMutex(own.room, { name: 'seen', maxHold: '20ms', onMaxHold: 'end' }));
  await Promise.all(Array.from({ length: 3 }, () => mutex.runExclusive('k', () => 'done')));
  const slow = mutex.runExclusive(
    'k',
    ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
  );
  await expect(slow).rejects.toThrow('held for more than 20 ms');

  const spans = telemetry.spans();
  expect(spans.filter(({ name }) => name === 'acquire Mutex seen')).toHaveLength(4);
  const holds = spans.filter(({ name }) => name === 'hold Mutex seen');
  expect(holds).toHaveLength(4);
  expect(holds[0]?.attributes).toMatchObject({ 'flow.lock.key': 'k', 'flow.lock.name': 'seen' });
  expect(holds[0]?.attributes['flow.lock.fencing_token']).toBeGreaterThan(0);
  const [waits] = await telemetry.metric('flow.lock.wait');
  expect(waits).toMatchObject({
    value: { count: 4 },
    attributes: { 'flow.lock.kind': 'Mutex', 'flow.lock.outcome': 'granted' },
  });
  // What was done under the lease that was lost was not done alone.
  expect(holds.map(({ attributes }) => attributes['error.type'])).toEqual([
    undefined,
    undefined,
    undefined,
    'LOCK_LOST',
  ]);
  const [held] = await telemetry.metric('flow.lock.hold');
  expect(held?.value).toMatchObject({ count: 4 });
  const [lost] = await telemetry.metric('flow.lock.lost');
  expect(lost?.value).toBe(1);
});

describe.each(locks)('the telemetry of a %s', (kind, make) => {
  it('tells what came of each wait, and how long leases are held that nobody runs anything with', async () => {
    await using telemetry = recordTelemetry();
    await using own = await openRoom(at.url);
    const lock = own.use(make(own.room));
    const held = await lock.acquire('k');
    expect(await lock.tryAcquire?.('k')).toBeUndefined();
    await expect(lock.acquire('k', { wait: '20ms' })).rejects.toThrow(LockTimeoutError);
    await expect(lock.acquire('k', { wait: 0 })).rejects.toThrow(LockTimeoutError);
    await expect(lock.acquire('k', { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
    expect(spansOf(telemetry, `hold ${kind} seen`, 'flow.lock.key')).toEqual([]);
    await held.release();
    await (await (lock.tryAcquire ?? lock.acquire).call(lock, 'k'))?.release();
    const left = await lock.acquire('left');
    const rejected = expect(lock.acquire('left')).rejects.toThrow('is closed');
    await lock.close();
    await rejected;
    expect(left.signal.aborted).toBe(true);

    const denied = lock.tryAcquire === undefined ? [] : ['denied'];
    const told = ['granted', ...denied, 'timed-out', 'timed-out', 'cancelled', 'granted', 'granted', 'failed'];
    expect(spansOf(telemetry, `acquire ${kind} seen`, 'flow.lock.outcome')).toEqual(told);
    expect(await outcomes(telemetry, { 'flow.lock.kind': kind, 'flow.lock.name': 'seen' })).toEqual({
      granted: 3,
      ...(denied.length > 0 && { denied: 1 }),
      'timed-out': 2,
      cancelled: 1,
      failed: 1,
    });
    expect(spansOf(telemetry, `hold ${kind} seen`, 'flow.lock.key')).toEqual(['k', 'k', 'left']);
    expect(spansOf(telemetry, `hold ${kind} seen`, 'error.type')).toEqual([undefined, undefined, 'LOCK_LOST']);
    expect(spansOf(telemetry, `hold ${kind} seen`, 'flow.lock.fencing_token')[0]).toBe(held.fencingToken);
  });
});

describe('the telemetry of an election', () => {
  it('has a span of each term, none of the wait to lead, and counts no term as lost that was given up', async () => {
    await using telemetry = recordTelemetry();
    await using first = await openRoom(at.url);
    await using second = await openRoom(at.url);
    const [leader, candidate] = [first, second].map(({ room }) => makeElection(room, { name: 'seen' }));
    leader!.stand();
    await until(() => leader!.isLeader, { what: 'the first to lead' });
    const { fencingToken } = leader!.lease!;
    candidate!.stand();
    const waiters = async (): Promise<boolean> => {
      const { state } = await at.streams.manager.streams.info('KV_flow_election_seen');
      return state.last_seq > fencingToken;
    };
    await until(waiters, { what: 'the second to stand in line' });
    const holds = (): unknown[] => spansOf(telemetry, 'hold LeaderElection seen', 'flow.lock.fencing_token');
    expect(holds()).toEqual([]);
    leader!.resign();
    await until(() => candidate!.isLeader, { what: 'the second to lead' });
    expect(holds()).toEqual([fencingToken]);
    await Promise.all([leader!.close(), candidate!.close()]);
    expect(holds()).toHaveLength(2);
    expect(spansOf(telemetry, 'hold LeaderElection seen', 'error.type')).toEqual([undefined, undefined]);
    expect(spansOf(telemetry, 'acquire LeaderElection seen', 'flow.lock.key')).toEqual([]);
    const wanted = { 'flow.lock.kind': 'LeaderElection' };
    expect(await outcomes(telemetry, wanted)).toMatchObject({ granted: 2, cancelled: 1 });
    expect(await telemetry.metric('flow.lock.lost')).toEqual([]);
  });
});
