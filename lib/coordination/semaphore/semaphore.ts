import type { AcquireOptions } from '../lease/lease.options.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseSpace } from '../lease/lease-space.js';

/**
 * Lets a number of holders in at a time, of all processes, per key: for a pool of connections to another system, or jobs
 * that are heavy. Inject it with `@InjectSemaphore(name)`, or get it from `Coordination`.
 *
 * Each holder has a lease of its own, with the guarantees of `Mutex`: it is renewed while its process lives and expires with
 * it, the line of those who wait is fair, and nobody overtakes.
 *
 * Fencing tokens grow from one write to the next; leases that were given by the same write have the same. They tell who came
 * later, not who is alone: do not guard with `lease.fence` what several holders write, since it refuses those who came
 * first as soon as one who came later has written.
 */
export class Semaphore {
  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    /** How many may hold a key at a time. */
    readonly permits: number,
    private readonly leases: LeaseSpace,
  ) {}

  /** Calls `fn` with a permit of `key`, and gives it back; as `Mutex.runExclusive`. */
  run<T>(key: string, fn: (lease: Lease) => T | Promise<T>, options: AcquireOptions = {}): Promise<Awaited<T>> {
    return this.leases.run(key, true, fn, options);
  }

  /** Waits for a permit of `key`; as `Mutex.acquire`. */
  acquire(key: string, options: AcquireOptions = {}): Promise<Lease> {
    return this.leases.acquire(key, true, options);
  }

  /** A permit of `key` if one is free and nobody waits; else `undefined`. */
  tryAcquire(key: string, options: Omit<AcquireOptions, 'wait'> = {}): Promise<Lease | undefined> {
    return this.leases.tryAcquire(key, true, options);
  }

  /** Resolves when the server has the semaphore's bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.leases.ready();
  }

  /** Gives back what is held, rejects who waits. Later calls reject. */
  close(): Promise<void> {
    return this.leases.close();
  }
}
