import type { CoordinationRoom } from '../coordination-room.js';
import { makeLeaseSpace } from '../lease/make-lease-space.js';
import { Mutex } from './mutex.js';
import { resolveMutex, type MutexOptions } from './mutex.options.js';

/** A mutex of this process. Make one per name: two would stand in line for each other. */
export function makeMutex(room: CoordinationRoom, options: MutexOptions): Mutex {
  const { name, ...limits } = resolveMutex(options);
  return new Mutex(name, makeLeaseSpace(room, { kind: 'lock', name, title: 'Mutex', limits, capacity: 1, places: 1 }));
}
