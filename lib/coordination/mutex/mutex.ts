import type { AcquireOptions } from '../lease/lease.options.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseSpace } from '../lease/lease-space.js';

/**
 * Mutual exclusion between all processes that use a mutex of this name, per key. Inject it with `@InjectMutex(name)`, or get
 * it from `Coordination`.
 *
 * - **Exclusive by time**: a lease is renewed while its holder lives, and expires `ttl` after its last renewal. Others get it
 *   half a second after that at the earliest; the holder's `signal` has aborted before. So two holders meet only if one of them
 *   does not look: for example because its process was stopped. Guard what must not happen then with `lease.fence`.
 * - **Fair**: the line of those who wait is stored; who came first is served first. The waiters of one process take one place
 *   in it together, and are served in their order: a process with many gets no more turns than one with few.
 * - A key may be any text but the empty one; a long one is stored as its hash.
 * - A waiter is woken by a watch. One that died loses its turn: it delays the others by 5 seconds at most.
 * - Not reentrant: asking for a key within a lease of it waits for oneself. When `wait` ends a wait and this process holds the
 *   key, the error says so.
 * - Time is the server's, measured by each process; what its own clock says has no influence. In a cluster the servers' clocks
 *   must agree to within some 200 milliseconds. When a server's clock is set forward by more than half a second, a process that
 *   has measured it anew may take a lease for expired whose holder has not: until that renews, two hold it.
 * - Leases survive restarts of the server as far as its storage does: with `storage: 'memory'` they are lost with it, which
 *   their holders find out at the next renewal. What that means for fencing tokens: see `Lease.fencingToken`.
 * - At shutdown steps drain first, with the leases they hold and wait for. Then who still waits is rejected, such as a request,
 *   and a key that is not free is refused at once. What is held stays so until the last request has ended, and is given back
 *   then.
 */
export class Mutex {
  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly leases: LeaseSpace,
  ) {}

  /**
   * Calls `fn` as soon as nobody else holds `key`, and gives the key back when it has ended.
   *
   * @returns what `fn` returns.
   * @throws what `fn` throws; LockLostError when the lease was lost before `fn` returned, so that it was not alone; else as
   * {@link acquire}.
   */
  runExclusive<T>(
    key: string,
    fn: (lease: Lease) => T | Promise<T>,
    options: AcquireOptions = {},
  ): Promise<Awaited<T>> {
    return this.leases.run(key, false, fn, options);
  }

  /**
   * Waits for `key`. Release the lease, or declare it with `await using`.
   *
   * @throws LockTimeoutError when `wait` is over, CancelledError when `signal` aborts; either way nothing is left of the wait.
   * ConnectionError when the application stops or the mutex is closed; when there is no connection to the server as `wait` ends;
   * and when the server has not answered for 30 seconds. Else what a write to a state object throws.
   */
  acquire(key: string, options: AcquireOptions = {}): Promise<Lease> {
    return this.leases.acquire(key, false, options);
  }

  /**
   * The lease of `key` if nobody holds it or waits for it; else `undefined`. The server's leader decides.
   *
   * @throws CancelledError when `signal` aborts; ConnectionError when the server has not answered for 30 seconds.
   */
  tryAcquire(key: string, options: Omit<AcquireOptions, 'wait'> = {}): Promise<Lease | undefined> {
    return this.leases.tryAcquire(key, false, options);
  }

  /** Resolves when the server has the mutex's bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.leases.ready();
  }

  /** Gives back what is held, rejects who waits. Later calls reject. */
  close(): Promise<void> {
    return this.leases.close();
  }
}
