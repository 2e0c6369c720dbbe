import { describe, expect, it } from 'vitest';
import { CancelledError, ConfigurationError } from '../../../lib/common/errors.js';
import { LockLostError, LockTimeoutError } from '../../../lib/common/lock-errors.js';
import type { Lease } from '../../../lib/coordination/lease/lease.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import type { MutexOptions } from '../../../lib/coordination/mutex/mutex.options.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';
import { storedTable } from './support/stored-table.js';

const at = useFlowServer();

async function openMutex(options: Partial<MutexOptions> = {}, log = recordingLog()) {
  const opened = await openRoom(at.url, { log });
  const mutex = opened.use(makeMutex(opened.room, { name: 'test', ...options }));
  return { ...opened, mutex, log };
}

/** What is stored of a key, as its leases' ids. */
async function stored(key: string, bucket = 'flow_lock_test'): Promise<number> {
  const message = await at.streams.manager.streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${key}` });
  return message?.header.get('KV-Operation') === 'DEL' ? 0 : (message?.data.length ?? 0);
}

describe('a mutex', () => {
  it('lets one in at a time, of two processes with many callers each', async () => {
    await using one = await openMutex();
    await using other = await openMutex();
    let inside = 0;
    const tokens: number[] = [];
    const enter = async (lease: Lease): Promise<void> => {
      inside += 1;
      expect(inside).toBe(1);
      tokens.push(lease.fencingToken);
      await Promise.resolve();
      inside -= 1;
    };
    const run = [one, other].flatMap(({ mutex }) =>
      Array.from({ length: 50 }, () => mutex.runExclusive('many', enter)),
    );
    await Promise.all(run);
    expect(tokens).toHaveLength(100);
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    expect(new Set(tokens).size).toBe(100);
    await until(async () => (await stored('many')) === 0, { what: 'nothing to be left' });
  });

  it('serves the processes in the order in which they came', async () => {
    await using holder = await openMutex();
    const rooms = await Promise.all(Array.from({ length: 4 }, () => openMutex()));
    const lease = await holder.mutex.acquire('order');
    const order: number[] = [];
    const all: Promise<void>[] = [];
    for (const [index, { mutex }] of rooms.entries()) {
      const before = await stored('order');
      all.push(mutex.runExclusive('order', () => void order.push(index)));
      await until(async () => (await stored('order')) > before, { what: `process ${index} to stand in line` });
    }
    await lease.release();
    await Promise.all(all);
    expect(order).toEqual([0, 1, 2, 3]);
    for (const room of rooms) await room[Symbol.asyncDispose]();
  });

  it('gives a process with many waiters no more turns than one with few', async () => {
    await using crowd = await openMutex();
    await using single = await openMutex();
    const lease = await single.mutex.acquire('fair');
    const order: string[] = [];
    const waiters = Array.from({ length: 20 }, () => crowd.mutex.runExclusive('fair', () => void order.push('crowd')));
    await until(async () => (await stored('fair')) > 60, { what: 'one of the crowd to stand in line' });
    waiters.push(single.mutex.runExclusive('fair', () => void order.push('single')));
    await lease.release();
    await Promise.all(waiters);
    expect(order.indexOf('single')).toBeLessThan(4);
  });

  it('lets others into the line beside a process that takes it again and again', async () => {
    await using greedy = await openMutex();
    await using other = await openMutex();
    let stop = false;
    let turns = 0;
    const loop = async (): Promise<void> => {
      while (!stop) await greedy.mutex.runExclusive('greedy', () => void (turns += 1));
    };
    const loops = [loop(), loop()];
    const waits: number[] = [];
    for (let turn = 0; turn < 20; turn++) {
      const asked = turns;
      await other.mutex.runExclusive('greedy', () => waits.push(turns - asked));
    }
    stop = true;
    await Promise.all(loops);
    waits.sort((a, b) => a - b);
    // In turns of the greedy one, so that the machine's speed does not count.
    expect(waits[10]).toBeLessThan(100);
  });

  it('is free or not at once for who does not want to wait', async () => {
    await using one = await openMutex();
    await using other = await openMutex();
    const lease = await one.mutex.tryAcquire('try');
    expect(lease?.key).toBe('try');
    expect(await other.mutex.tryAcquire('try')).toBeUndefined();
    expect(await one.mutex.tryAcquire('try')).toBeUndefined();
    await expect(other.mutex.acquire('try', { wait: 0 })).rejects.toThrow(LockTimeoutError);
    await lease?.release();
    await using second = await other.mutex.tryAcquire('try');
    expect(second?.fencingToken).toBeGreaterThan(lease!.fencingToken);
  });

  it('leaves nothing of a wait that was aborted or timed out', async () => {
    await using one = await openMutex();
    await using other = await openMutex();
    const lease = await one.mutex.acquire('gone');
    const held = await stored('gone');
    const abort = new AbortController();
    const aborted = other.mutex.acquire('gone', { signal: abort.signal });
    const impatient = expect(other.mutex.acquire('gone', { wait: '200ms' })).rejects.toThrow(LockTimeoutError);
    await until(async () => (await stored('gone')) > held, { what: 'the waiter to stand in line' });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow(CancelledError);
    await impatient;
    await until(async () => (await stored('gone')) === held, { what: 'only the holder to be left' });
    await expect(other.mutex.acquire('gone', { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
    await lease.release();
    expect(await stored('gone')).toBe(0);
  });

  it('keeps a lease for as long as it is held, and lets it go when it is released twice', async () => {
    await using one = await openMutex({ ttl: '1s' });
    await using other = await openMutex({ ttl: '1s' });
    const lease = await one.mutex.acquire('long');
    const holder = async () =>
      (await storedTable(at.streams.manager, 'flow_lock_test', 'long')).table.holders.map(({ id, deadlineMs }) => ({
        id,
        deadlineMs: Number(deadlineMs),
      }));
    const [first] = await holder();
    const next = other.mutex.acquire('long');
    const moved = async (): Promise<boolean> => {
      expect(lease.signal.aborted).toBe(false);
      const [now] = await holder();
      expect(now?.id).toBe(first?.id);
      return now!.deadlineMs > first!.deadlineMs + 3_000;
    };
    await until(moved, { what: 'renewals for three times the ttl' });
    await Promise.all([lease.release(), lease.release()]);
    await using second = await next;
    expect(second.signal.aborted).toBe(false);
    expect(lease.signal.aborted).toBe(false);
  });

  it('does not come back by a renewal that was on its way when it was released', async () => {
    await using one = await openMutex({ ttl: '1s' });
    // As writes pass on the wire: the first of a key grants its lease, the others renew it.
    const writes = new Map<string, number>();
    const renewalsOf = ({ key }: Lease): number => (writes.get(key) ?? 0) - 1;
    const seen = at.streams.nats.subscribe('$KV.flow_lock_test.*', {
      callback: (_error, { subject }) => {
        const key = subject.split('.').at(-1)!;
        writes.set(key, (writes.get(key) ?? 0) + 1);
      },
    });
    await at.streams.nats.flush();
    const pacers: Lease[] = [];
    const racers: Lease[] = [];
    for (let index = 0; index < 60; index++) {
      pacers.push(await one.mutex.acquire(`pace-${index}`));
      racers.push(await one.mutex.acquire(`race-${index}`));
    }
    // Renewals come in the order of the grants. A release comes with one shortly before or after that of its lease, so that
    // releases meet renewals at all points of their way.
    const release = async (lease: Lease, index: number): Promise<void> => {
      const pacer = pacers[Math.min(59, Math.max(0, index + (index % 5) - 2))]!;
      await until(() => renewalsOf(pacer) > 0, { what: `a renewal of ${pacer.key}`, intervalMs: 1 });
      await lease.release();
    };
    await Promise.all(racers.map(release));
    const before = pacers.map(renewalsOf);
    const renewed = (): boolean => pacers.every((lease, index) => renewalsOf(lease) >= before[index]! + 2);
    await until(renewed, { what: 'two further renewals of every lease that is held' });
    for (const { key } of racers) expect(await stored(key)).toBe(0);
    await Promise.all(pacers.map((lease) => lease.release()));
    seen.unsubscribe();
  });

  it('passes on what the function returns and throws, and gives the key back either way', async () => {
    await using one = await openMutex();
    expect(await one.mutex.runExclusive('result', async () => 7)).toBe(7);
    await expect(
      one.mutex.runExclusive('result', () => {
        throw new RangeError('no');
      }),
    ).rejects.toThrow(RangeError);
    expect(await one.mutex.tryAcquire('result')).toBeDefined();
  });

  it('warns of a lease that is held for too long, and ends it when it is told to', async () => {
    await using one = await openMutex({ maxHold: '100ms', onMaxHold: 'end' });
    const opened = gate();
    const work = one.mutex.runExclusive('slow', async ({ signal }) => {
      signal.addEventListener('abort', () => opened.open());
      await opened.opened;
    });
    await expect(work).rejects.toThrow(LockLostError);
    expect(one.log.messages('warn').join()).toContain('held for more than 100 ms');
    expect(await one.mutex.tryAcquire('slow')).toBeDefined();
  });

  it('ends when it is closed: waiters are rejected, leases are lost and given back', async () => {
    const one = await openMutex();
    await using other = await openMutex();
    const lease = await one.mutex.acquire('closing');
    const waiting = one.mutex.acquire('closing');
    const rejected = expect(waiting).rejects.toThrow('is closed');
    await one[Symbol.asyncDispose]();
    await rejected;
    expect(lease.signal.reason).toBeInstanceOf(LockLostError);
    expect(await other.mutex.tryAcquire('closing')).toBeDefined();
    await expect(one.mutex.acquire('closing')).rejects.toThrow('is closed');
  });

  it('takes any text for a key, also what is longer than a subject may be', async () => {
    await using one = await openMutex();
    await using other = await openMutex();
    for (const key of ['*', '>', 'a.b', ' ', 'ü\n', 'x'.repeat(10_000)]) {
      const lease = await one.mutex.acquire(key);
      expect(lease.key).toBe(key);
      expect(await other.mutex.tryAcquire(key)).toBeUndefined();
      const waiting = other.mutex.acquire(key);
      await lease.release();
      await (await waiting).release();
    }
    expect([one, other].map(({ connection }) => connection.status)).toEqual(['connected', 'connected']);
  });

  it('checks its options and keys', async () => {
    await using one = await openMutex();
    expect(() => makeMutex(one.room, { name: 'no dots.', ttl: '10ms' })).toThrow(ConfigurationError);
    await expect(one.mutex.acquire('')).rejects.toThrow('the key is empty');
    await expect(one.mutex.acquire('x', { ttl: '2d' })).rejects.toThrow('between 1 second and 1 hour');
  });
});
