import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { LockTimeoutError } from '../../../lib/common/lock-errors.js';
import { makeSemaphore } from '../../../lib/coordination/semaphore/make-semaphore.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

async function openSemaphore(permits: number) {
  const opened = await openRoom(at.url);
  return { ...opened, semaphore: opened.use(makeSemaphore(opened.room, { name: 'pool', permits, ttl: '2s' })) };
}

describe('a semaphore', () => {
  it('lets as many in as it has permits, of three processes, and makes use of all', async () => {
    const rooms = await Promise.all([openSemaphore(3), openSemaphore(3), openSemaphore(3)]);
    let inside = 0;
    const full = gate();
    const work = async (): Promise<void> => {
      inside += 1;
      expect(inside).toBeLessThanOrEqual(3);
      if (inside === 3) full.open();
      await full.opened;
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all(rooms.flatMap(({ semaphore }) => Array.from({ length: 20 }, () => semaphore.run('db', work))));
    expect(inside).toBe(0);
    for (const room of rooms) await room[Symbol.asyncDispose]();
  });

  it('gives a permit that is free at once, and none when there is none', async () => {
    await using one = await openSemaphore(2);
    await using other = await openSemaphore(2);
    const first = await one.semaphore.tryAcquire('try');
    const second = await other.semaphore.acquire('try');
    expect(await one.semaphore.tryAcquire('try')).toBeUndefined();
    await expect(one.semaphore.acquire('try', { wait: '50ms' })).rejects.toThrow(LockTimeoutError);
    const waiting = one.semaphore.acquire('try');
    await second.release();
    const third = await waiting;
    expect(third.fencingToken).toBeGreaterThan(first!.fencingToken);
    expect(first?.signal.aborted).toBe(false);
  });

  it('gets the permit of a process back that does not renew it', async () => {
    const gone = await openSemaphore(1);
    await using other = await openSemaphore(1);
    await gone.semaphore.acquire('gone');
    // As if it were killed: nothing is given back.
    await gone.connection.nats.close();
    await using lease = await other.semaphore.acquire('gone');
    expect(lease.signal.aborted).toBe(false);
  });

  it('needs a number of permits', async () => {
    await using one = await openSemaphore(1);
    expect(() => makeSemaphore(one.room, { name: 'none', permits: 0 })).toThrow(ConfigurationError);
  });
});
