import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Memory of this process, in megabytes. */
export interface HeldMemory {
  readonly rss: number;
  /** What is in use of the heap. */
  readonly heap: number;
}

/**
 * What is held, without what only has not been collected yet. Ask again and again while work goes on: only from one
 * collection to the next the resident memory is comparable.
 */
export function heldMegabytes(): HeldMemory {
  collect();
  const { rss, heapUsed } = process.memoryUsage();
  return { rss: rss / 1e6, heap: heapUsed / 1e6 };
}
