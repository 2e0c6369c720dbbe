import { describe, expect, it } from 'vitest';
import { makeReadWriteLock } from '../../../lib/coordination/read-write-lock/make-read-write-lock.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
const BUCKET = 'flow_rwlock_files';

async function openLock() {
  const opened = await openRoom(at.url);
  return { ...opened, lock: opened.use(makeReadWriteLock(opened.room, { name: 'files' })) };
}

/** Number of writes to the lock, to see that somebody has come to stand in line. */
async function writes(): Promise<number> {
  return (await at.streams.manager.streams.info(`KV_${BUCKET}`)).state.last_seq;
}

describe('a read-write lock', () => {
  it('lets many read or one write', async () => {
    await using one = await openLock();
    await using other = await openLock();
    let readers = 0;
    let writers = 0;
    const together = gate();
    const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const read = async (): Promise<void> => {
      readers += 1;
      expect(writers).toBe(0);
      if (readers > 1) together.open();
      await together.opened;
      await pause();
      readers -= 1;
    };
    const write = async (): Promise<void> => {
      writers += 1;
      expect([readers, writers]).toEqual([0, 1]);
      await pause();
      writers -= 1;
    };
    await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const { lock } = index % 2 === 0 ? one : other;
        return index % 10 === 5 ? lock.runExclusive('a', write) : lock.runShared('a', read);
      }),
    );
    expect([readers, writers]).toEqual([0, 0]);
  });

  it('lets no reader pass a writer that waits', async () => {
    await using one = await openLock();
    await using other = await openLock();
    const order: string[] = [];
    const reading = await one.lock.acquireShared('b');
    let before = await writes();
    const writing = other.lock.runExclusive('b', () => void order.push('writer'));
    await until(async () => (await writes()) > before, { what: 'the writer to stand in line' });
    before = await writes();
    const late = one.lock.runShared('b', () => void order.push('reader'));
    await until(async () => (await writes()) > before, { what: 'the reader to stand in line' });
    expect(order).toEqual([]);
    await reading.release();
    await Promise.all([writing, late]);
    expect(order).toEqual(['writer', 'reader']);
  });
});
