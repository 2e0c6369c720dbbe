/** How to change a count. */
export interface CountOptions {
  /**
   * Counts at most once per key: the second time nothing is done. Remembered beside the count for 24 hours, of the last
   * 2,048 changes with a key.
   */
  readonly idempotencyKey?: string;
  /** Gives up when it aborts. Whether it counts then is not known; with an `idempotencyKey` it can be repeated. */
  readonly signal?: AbortSignal;
}

/** How to wait. */
export interface CountWaitOptions {
  /** Gives up with a `CancelledError` when it aborts; `AbortSignal.timeout(5_000)` for a time limit. */
  readonly signal?: AbortSignal;
}
