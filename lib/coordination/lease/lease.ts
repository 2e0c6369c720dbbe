/**
 * The right to something for as long as it is renewed, which the library does. A lease ends by `release`, or is lost: then
 * `signal` aborts, and what is still done under it is no longer exclusive.
 *
 * No lock service can stop a process that sleeps through the end of its lease. What must not be written by such a one
 * is guarded by the fencing token: see {@link fence}.
 */
export interface Lease extends AsyncDisposable {
  /** What was locked. */
  readonly key: string;
  /**
   * A revision of the entry at which this lease was held. Larger than the token of every exclusive lease of the key that ended
   * before this one began, also by expiring. Leases that may be held at the same time, those of readers and of a semaphore, may
   * have the same.
   *
   * It can only grow for as long as the server keeps what it has acknowledged. Tokens begin anew when the bucket is lost or
   * deleted, as with `storage: 'memory'` by a restart of the server. They go back when the end of its stream is lost: with one
   * replica in a file by power loss, up to the server's `sync_interval`; with several when a majority loses power at once. Then a
   * lease given before, of which the server knows nothing any more, and one given after may have the same token, or the
   * later one the smaller: {@link fence} then refuses the later holder until tokens have grown past what is stored. A process
   * or server that is killed loses nothing.
   */
  readonly fencingToken: number;
  /**
   * Aborts with a `LockLostError` when the lease is lost, before anybody else can have it; not when it is released. Ask
   * for it anew where you look at `aborted`: asking compares the clock, also after the process was stopped.
   */
  readonly signal: AbortSignal;
  /**
   * Checks this lease against the last token that what it guards was written with, inside of the write.
   *
   * @param latest the token that is stored there; `undefined` or 0 when none is
   * @returns this lease's token, to be stored with the write.
   * @throws LockLostError when a later lease has written.
   * @example
   * await store.modify(id, (account) => {
   *   account.fence = lease.fence(account.fence);
   *   account.balance -= amount;
   * });
   */
  fence(latest: number | undefined): number;
  /**
   * Gives the lease back, after a renewal that is under way. May be called again. A lease that is lost is not waited for.
   *
   * @throws LockLostError when its time was over before the server had it; JetStreamRequestError when the server refuses.
   */
  release(): Promise<void>;
}
