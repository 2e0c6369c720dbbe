import { describe, expect, it } from 'vitest';
import { useFlowServer } from '../../support/flow-server.js';
import { openRoom } from './support/coordination-fixture.js';
import type { LockHolderMessage } from './support/lock-holder.js';
import { locks } from './support/locks.js';
import { TableHistory } from './support/table-history.js';
import { ToldProcess } from './support/told-process.js';

const TTL = 1_500;

describe('what a process holds that is killed', () => {
  const at = useFlowServer();

  it.each([
    ['mutex', 'mutex', 'flow_lock_any'],
    ['semaphore', 'semaphore', 'flow_semaphore_any'],
    ['reader', 'writer', 'flow_rwlock_any'],
    ['writer', 'reader', 'flow_rwlock_any'],
  ] as const)('goes on in time: from a %s to a %s', { timeout: 60_000 }, async (dead, next, bucket) => {
    await using own = await openRoom(at.url);
    const lock = own.use(locks[next](own.room, {}));
    await lock.ready();
    // Two share a bucket.
    await at.streams.manager.streams.purge(`KV_${bucket}`);
    await using history = await TableHistory.follow(at.url, bucket, 'k');
    const script = new URL('./support/lock-holder.ts', import.meta.url);
    await using holder = await ToldProcess.start<LockHolderMessage>(script, [at.url, dead, String(TTL)]);
    await holder.told('held');
    const waiting = lock.acquire('k');
    await holder.kill();
    await using lease = await waiting;
    await history.expectTakeover();
    expect(lease.signal.aborted).toBe(false);
  });
});
