import type { CoordinationRoom } from '../coordination-room.js';
import { makeLeaseSpace } from '../lease/make-lease-space.js';
import { Semaphore } from './semaphore.js';
import { resolveSemaphore, type SemaphoreOptions } from './semaphore.options.js';

/** More of a process in the stored line would only make the table longer. */
const MOST_PLACES = 16;

/** A semaphore of this process. Make one per name. */
export function makeSemaphore(room: CoordinationRoom, options: SemaphoreOptions): Semaphore {
  const { name, permits, ...limits } = resolveSemaphore(options);
  const places = Math.min(permits, MOST_PLACES);
  return new Semaphore(
    name,
    permits,
    makeLeaseSpace(room, { kind: 'semaphore', name, title: 'Semaphore', limits, capacity: permits, places }),
  );
}
