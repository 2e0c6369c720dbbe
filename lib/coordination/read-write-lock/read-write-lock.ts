import type { AcquireOptions } from '../lease/lease.options.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseSpace } from '../lease/lease-space.js';

/**
 * Many readers or one writer at a time, of all processes, per key. Inject it with `@InjectReadWriteLock(name)`, or get it
 * from `Coordination`.
 *
 * Leases have the guarantees of `Mutex`. Who came first is served first, so nobody starves: readers that come while a writer
 * waits stand behind it, readers in a row get in together. Reading is a write to the stored table: use this for long or
 * dear sections, not to speed up short reads. A reader cannot become a writer; it would wait for itself.
 *
 * A writer's fencing token is larger than those of all readers and writers before it, and guards its writes as a mutex's does.
 * Readers at the same time have different tokens or the same; a reader can compare its own with the one that what it
 * reads was written with: a larger one means that it reads on after its lease was lost.
 */
export class ReadWriteLock {
  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly leases: LeaseSpace,
  ) {}

  /** Calls `fn` when nobody writes; as `Mutex.runExclusive`. */
  runShared<T>(key: string, fn: (lease: Lease) => T | Promise<T>, options: AcquireOptions = {}): Promise<Awaited<T>> {
    return this.leases.run(key, true, fn, options);
  }

  /** Calls `fn` when nobody reads or writes; as `Mutex.runExclusive`. */
  runExclusive<T>(
    key: string,
    fn: (lease: Lease) => T | Promise<T>,
    options: AcquireOptions = {},
  ): Promise<Awaited<T>> {
    return this.leases.run(key, false, fn, options);
  }

  /** Waits until nobody writes; as `Mutex.acquire`. */
  acquireShared(key: string, options: AcquireOptions = {}): Promise<Lease> {
    return this.leases.acquire(key, true, options);
  }

  /** Waits until nobody reads or writes; as `Mutex.acquire`. */
  acquireExclusive(key: string, options: AcquireOptions = {}): Promise<Lease> {
    return this.leases.acquire(key, false, options);
  }

  /** Resolves when the server has the lock's bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.leases.ready();
  }

  /** Gives back what is held, rejects who waits. Later calls reject. */
  close(): Promise<void> {
    return this.leases.close();
  }
}
