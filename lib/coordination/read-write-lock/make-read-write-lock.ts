import type { CoordinationRoom } from '../coordination-room.js';
import { makeLeaseSpace } from '../lease/make-lease-space.js';
import { ReadWriteLock } from './read-write-lock.js';
import { resolveReadWriteLock, type ReadWriteLockOptions } from './read-write-lock.options.js';

/** So that the readers of a process get in together. */
const PLACES = 16;

/** A read-write lock of this process. Make one per name. */
export function makeReadWriteLock(room: CoordinationRoom, options: ReadWriteLockOptions): ReadWriteLock {
  const { name, ...limits } = resolveReadWriteLock(options);
  const space = makeLeaseSpace(room, {
    kind: 'rwlock',
    name,
    title: 'ReadWriteLock',
    limits,
    capacity: Infinity,
    places: PLACES,
  });
  return new ReadWriteLock(name, space);
}
