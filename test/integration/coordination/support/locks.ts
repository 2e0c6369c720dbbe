import type { CoordinationRoom } from '../../../../lib/coordination/coordination-room.js';
import type { AcquireOptions, LeaseOptions } from '../../../../lib/coordination/lease/lease.options.js';
import type { Lease } from '../../../../lib/coordination/lease/lease.js';
import { makeMutex } from '../../../../lib/coordination/mutex/make-mutex.js';
import { makeReadWriteLock } from '../../../../lib/coordination/read-write-lock/make-read-write-lock.js';
import { makeSemaphore } from '../../../../lib/coordination/semaphore/make-semaphore.js';

/** A lock whose keys are waited for. */
export interface AnyLock {
  acquire(key: string, options?: AcquireOptions): Promise<Lease>;
  ready(): Promise<void>;
  close(): Promise<void>;
}

export type LockName = 'mutex' | 'semaphore' | 'reader' | 'writer';

const OPTIONS = { name: 'any' };

function sideOf(side: 'acquireShared' | 'acquireExclusive') {
  return (room: CoordinationRoom, options: LeaseOptions): AnyLock => {
    const lock = makeReadWriteLock(room, { ...OPTIONS, ...options });
    return {
      acquire: (key, acquireOptions) => lock[side](key, acquireOptions),
      ready: () => lock.ready(),
      close: () => lock.close(),
    };
  };
}

/** One of each kind, all of the name `any`. */
export const locks: Readonly<Record<LockName, (room: CoordinationRoom, options: LeaseOptions) => AnyLock>> = {
  mutex: (room, options) => makeMutex(room, { ...OPTIONS, ...options }),
  semaphore: (room, options) => makeSemaphore(room, { ...OPTIONS, ...options, permits: 1 }),
  reader: sideOf('acquireShared'),
  writer: sideOf('acquireExclusive'),
};
