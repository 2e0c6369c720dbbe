import { describe, expect, it } from 'vitest';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import type { MutexOptions } from '../../../lib/coordination/mutex/mutex.options.js';
import { makeReadWriteLock } from '../../../lib/coordination/read-write-lock/make-read-write-lock.js';
import { makeSemaphore } from '../../../lib/coordination/semaphore/make-semaphore.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';
import { storedTable } from './support/stored-table.js';

const at = useFlowServer();
/** More than the places that a process has in the stored line. */
const CROWD = 40;

async function openMutex(options: Partial<MutexOptions> = {}, url = at.url) {
  const opened = await openRoom(url);
  return { ...opened, mutex: opened.use(makeMutex(opened.room, { name: 'line', ...options })) };
}

/** Number of writes to a bucket, to see that somebody has come to stand in line. */
async function writes(bucket: string): Promise<number> {
  return (await at.streams.manager.streams.info(`KV_${bucket}`)).state.last_seq;
}

async function watches(bucket: string): Promise<number> {
  return (await at.streams.manager.streams.info(`KV_${bucket}`)).state.consumer_count;
}

describe('those of a process who stand behind its places in the line', () => {
  it('all read at the same time, when another process has written', async () => {
    await using writing = await openRoom(at.url);
    await using reading = await openRoom(at.url);
    const writer = writing.use(makeReadWriteLock(writing.room, { name: 'crowd' }));
    const readers = reading.use(makeReadWriteLock(reading.room, { name: 'crowd' }));
    const written = await writer.acquireExclusive('a');
    const everybody = gate();
    let inside = 0;
    const before = await writes('flow_rwlock_crowd');
    const all = Array.from({ length: CROWD }, () =>
      readers.runShared('a', async () => {
        inside += 1;
        if (inside === CROWD) everybody.open();
        await everybody.opened;
      }),
    );
    await until(async () => (await writes('flow_rwlock_crowd')) > before, { what: 'readers to stand in line' });
    await written.release();
    await Promise.all(all);
    expect(inside).toBe(CROWD);
  });

  it('all get permits that are free, when another process has given them back', async () => {
    await using first = await openRoom(at.url);
    await using second = await openRoom(at.url);
    const options = { name: 'crowd', permits: CROWD };
    const before = first.use(makeSemaphore(first.room, options));
    const after = second.use(makeSemaphore(second.room, options));
    const held = await Promise.all(Array.from({ length: CROWD }, () => before.acquire('a')));
    const written = await writes('flow_semaphore_crowd');
    const waiting = Array.from({ length: CROWD }, () => after.acquire('a'));
    await until(async () => (await writes('flow_semaphore_crowd')) > written, { what: 'some to stand in line' });
    await Promise.all(held.map((lease) => lease.release()));
    const leases = await Promise.all(waiting);
    expect(leases.filter(({ signal }) => signal.aborted)).toEqual([]);
  });

  it('get the key when the one before them has lost it and never gives it back', async () => {
    await using other = await openMutex();
    await using one = await openMutex({ ttl: '1s', maxHold: '50ms', onMaxHold: 'end' });
    const lease = await other.mutex.acquire('lost');
    const before = await writes('flow_lock_line');
    const first = one.mutex.acquire('lost');
    const second = one.mutex.acquire('lost');
    await until(async () => (await writes('flow_lock_line')) > before, { what: 'one to stand in line' });
    await lease.release();
    const [lost, next] = await Promise.all([first, second]);
    expect(lost.signal.aborted).toBe(true);
    expect(next.fencingToken).toBeGreaterThan(lost.fencingToken);
  });
});

describe('a process that waits', () => {
  it('asks nothing, however often the holder renews: it is told', async () => {
    await using other = await openMutex({ name: 'quiet', ttl: '1s' });
    await using one = await openMutex({ name: 'quiet', ttl: '1s' });
    const bucket = 'flow_lock_quiet';
    const lease = await other.mutex.acquire('k');
    const waiting = one.mutex.acquire('k');
    await until(async () => (await watches(bucket)) > 0, { what: 'the key to be followed' });
    const renewals = async (count: number): Promise<void> => {
      const from = await writes(bucket);
      await until(async () => (await writes(bucket)) >= from + count, { what: `${count} renewals` });
    };
    // The watch has begun.
    await renewals(2);
    const began = performance.now();
    const { outMsgs, inMsgs } = one.connection.nats.stats();
    await renewals(6);
    const sent = one.connection.nats.stats().outMsgs - outMsgs;
    // Its place in the line is kept every 10 seconds, and the clock measured every 30: what comes of a very slow machine.
    const slow = Math.floor((performance.now() - began) / 9_000);
    expect(sent).toBeLessThanOrEqual(slow * 12);
    await until(() => one.connection.nats.stats().inMsgs >= inMsgs + 6, { what: 'it to be told of the renewals' });
    await lease.release();
    await using next = await waiting;
    expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
  });
});

describe('a process that has got what it waited for', () => {
  it('follows the key no longer, also while it holds it', async () => {
    await using other = await openMutex({ name: 'followed' });
    await using one = await openMutex({ name: 'followed' });
    const lease = await other.mutex.acquire('held');
    const waiting = one.mutex.acquire('held');
    await until(async () => (await watches('flow_lock_followed')) > 0, { what: 'the key to be followed' });
    await lease.release();
    const held = await waiting;
    await until(async () => (await watches('flow_lock_followed')) === 0, {
      what: 'the key not to be followed any more',
      timeoutMs: 20_000,
    });
    expect(held.signal.aborted).toBe(false);
  });
});

describe('who comes to a key', () => {
  it('stands in line anew when its lease has gone to somebody else before it knew of it', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using one = await openMutex({ ttl: '1s' }, proxy.url);
    await using other = await openMutex();
    const stored = () => storedTable(at.streams.manager, 'flow_lock_line', 'unaware');
    // So that the next write needs no look at the key before.
    await (await one.mutex.acquire('unaware')).release();
    const before = await writes('flow_lock_line');
    proxy.dropRepliesAfter(0);
    const coming = one.mutex.acquire('unaware');
    await until(async () => (await writes('flow_lock_line')) > before, { what: 'the server to have the question' });
    const lease = await other.mutex.acquire('unaware', { ttl: '1h' });
    // From its first renewal on nothing brings news of the key for a long time.
    await until(
      async () => {
        const { table, timeMs } = await stored();
        return Number(table.holders[0]?.deadlineMs) > timeMs + 600_000;
      },
      { what: 'the first renewal' },
    );
    proxy.restore();
    await until(async () => (await stored()).table.waiters.length === 1, { what: 'it to stand in line' });
    await lease.release();
    await using next = await coming;
    expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
  });
});

describe('who asks once', () => {
  it('is rejected when the mutex is closed meanwhile, and holds nothing', async () => {
    const one = await openMutex();
    await using other = await openMutex();
    await one.mutex.ready();
    const rejected = expect(one.mutex.tryAcquire('closing')).rejects.toThrow('is closed');
    await one.mutex.close();
    await rejected;
    expect(await other.mutex.tryAcquire('closing')).toBeDefined();
    await one[Symbol.asyncDispose]();
  });

  it('is told no when the answer comes after its lease has gone to somebody else', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using one = await openMutex({ ttl: '1s' }, proxy.url);
    await using other = await openMutex();
    // So that the next write needs no look at the key before.
    await (await one.mutex.acquire('late')).release();
    const before = await writes('flow_lock_line');
    proxy.holdReplies();
    const asked = one.mutex.tryAcquire('late');
    await until(async () => (await writes('flow_lock_line')) > before, { what: 'the server to have the question' });
    const lease = await other.mutex.acquire('late');
    proxy.deliverReplies();
    expect(await asked).toBeUndefined();
    expect(lease.signal.aborted).toBe(false);
    expect(await other.mutex.tryAcquire('late')).toBeUndefined();
  });
});
