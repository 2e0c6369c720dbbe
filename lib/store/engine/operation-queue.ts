import { toMilliseconds, type Duration } from '../../common/duration.js';
import { ConfigurationError, ConnectionError, OverloadedError } from '../../common/errors.js';
import type { ChangeFunction } from './change.js';
import type { CommitContext } from './commit-context.js';
import { KeyCommits } from './key-commits.js';
import { PendingOperation, type OperationResult } from './pending-operation.js';
import { hashIdempotencyKey } from './applied-keys.js';

/** How often overdue operations are looked for: timeouts may come late by this much. */
const SWEEP_MS = 100;
const MAX_SPARE = 1_024;

/** What a caller may say about one operation that writes. */
export interface WriteOptions {
  /**
   * Gives up when it aborts, at once. An operation that still waited is not applied; one that was already sent may be, and
   * the error says so. Others that are committed together are not affected.
   */
  readonly signal?: AbortSignal;
  /**
   * Applies the operation at most once per key of the store while it is remembered (see `remember` of `@KvObject`): the
   * second time nothing is done and the present state returned. Remembered with the entry itself, so it holds for all
   * processes and over restarts, but not beyond the entry's expiry or a write by another KV client.
   */
  readonly idempotencyKey?: string;
  /**
   * The entry expires this long after this write, from 1 second, in whole seconds. A write without it leaves an entry
   * that does not expire by itself. For objects with `entryTtl`; deletions ignore it. @default the bucket's `ttl`
   */
  readonly ttl?: Duration;
  /** Conflicts with other processes after which to give up with a `ConflictError`. @default the object's `maxAttempts` */
  readonly maxAttempts?: number;
}

/** What the store itself may say too. */
export interface OperationOptions extends WriteOptions {
  /** The change does not look at the state: it works also on bytes that do not decode. @default false */
  readonly blind?: boolean;
}

/** Bounds of a queue. */
export interface QueueLimits {
  /** Operations of all keys that may wait. */
  readonly maxQueued: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  /** Writes may give a time to live. */
  readonly entryTtl: boolean;
}

/** Takes the operations of all keys of a store to their commits, and bounds them in number and time. */
export class OperationQueue<State> {
  private readonly keys = new Map<string, KeyCommits<State>>();
  /** To be used again: most keys have something to do for a millisecond only. */
  private readonly spare: KeyCommits<State>[] = [];
  private waiting = 0;
  private closed = false;
  private sweeper: NodeJS.Timeout | undefined;
  private idle: (() => void)[] = [];

  constructor(
    private readonly context: CommitContext<State>,
    private readonly limits: QueueLimits,
    private readonly onQueued: (by: number) => void,
  ) {}

  /** Operations that are not settled yet. */
  get size(): number {
    return this.waiting;
  }

  /**
   * Runs one operation; see {@link PendingOperation} for how it ends.
   *
   * @param answer what the caller gets
   * @throws OverloadedError when too many wait already, ConnectionError after {@link close}.
   */
  run<Answer>(
    name: string,
    key: string,
    change: ChangeFunction<State>,
    options: OperationOptions,
    answer: (result: OperationResult<State>) => Answer,
  ): Promise<Answer> {
    const { bucket } = this.context;
    if (this.closed) throw new ConnectionError(`The store of bucket "${bucket}" is closed.`);
    if (this.waiting >= this.limits.maxQueued) {
      throw new OverloadedError(
        `${this.waiting} operations wait in the store of bucket "${bucket}" (maxQueued). Await some before starting more, or raise the limit.`,
      );
    }
    const ttlMs = this.ttlOf(options.ttl);
    this.count(1);
    const operation = new PendingOperation<State, Answer>(
      {
        name,
        key,
        bucket,
        change,
        blind: options.blind ?? false,
        hash: options.idempotencyKey === undefined ? undefined : hashIdempotencyKey(options.idempotencyKey),
        ttlMs,
        maxAttempts: options.maxAttempts ?? this.limits.maxAttempts,
        timeoutMs: this.limits.timeoutMs,
        signal: options.signal,
        answer,
      },
      this.onSettled,
    );
    if (!operation.settled) this.commitsOf(key).add(operation);
    return operation.promise;
  }

  /** Takes no more; resolves when what waits has ended. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.keys.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private ttlOf(ttl: Duration | undefined): number | undefined {
    if (ttl === undefined) return undefined;
    const where = `Writing to bucket "${this.context.bucket}"`;
    if (!this.limits.entryTtl) throw new ConfigurationError(where, ['ttl needs entryTtl: true in @KvObject']);
    const ttlMs = toMilliseconds(ttl);
    if (ttlMs < 1_000) throw new ConfigurationError(where, [`a ttl of ${ttlMs} ms is shorter than a second`]);
    return ttlMs;
  }

  private commitsOf(key: string): KeyCommits<State> {
    let commits = this.keys.get(key);
    if (commits === undefined) {
      commits = this.spare.pop() ?? new KeyCommits(this.context, this.onIdle);
      commits.take(key);
      this.keys.set(key, commits);
      this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
    }
    return commits;
  }

  private readonly onIdle = (key: string, commits: KeyCommits<State>): void => {
    this.keys.delete(key);
    if (this.spare.length < MAX_SPARE) this.spare.push(commits);
    if (this.keys.size > 0 || this.idle.length === 0) return;
    for (const resolve of this.idle.splice(0)) resolve();
  };

  private sweep(): void {
    const now = performance.now();
    for (const commits of this.keys.values()) commits.expire(now);
    // Not stopped as soon as nothing waits: a busy store would make a new timer for every operation.
    if (this.keys.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }

  private readonly onSettled = (): void => this.count(-1);

  private count(by: number): void {
    this.waiting += by;
    this.onQueued(by);
  }
}
