import { toMilliseconds, type Duration } from '../../common/duration.js';
import { ConfigurationError, ConnectionError, OverloadedError } from '../../common/errors.js';
import { SlotMap } from '../../common/slot-map.js';
import type { ChangeFunction } from './change.js';
import type { CommitContext } from './commit-context.js';
import { KeyCommits } from './key-commits.js';
import { PendingOperation, type OperationResult } from './pending-operation.js';
import { hashIdempotencyKey } from './applied-keys.js';

/** How often overdue operations are looked for: timeouts may come late by this much. */
const SWEEP_MS = 100;
const MAX_SPARE = 1_024;
/** A key may have this many waiting whatever else waits, as long as there is room. */
const LEAST_SHARE = 16;

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
   * processes and over restarts, but not beyond the entry's expiry or a write by another KV client. An empty one is refused.
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
  /** Operations of all keys that may wait; a single key may not have more of them than are still free. */
  readonly maxQueued: number;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  /** Writes may give a time to live. */
  readonly entryTtl: boolean;
}

/** A key that has something to do. */
interface Lane<State> {
  readonly commits: KeyCommits<State>;
  /** Operations of the key that are not settled yet. */
  waiting: number;
  readonly onSettled: () => void;
}

/** Takes the operations of all keys of a store to their commits, and bounds them in number and time. */
export class OperationQueue<State> {
  private readonly lanes = new SlotMap<string, Lane<State>>();
  /** To be used again: most keys have something to do for a millisecond only. */
  private readonly spare: Lane<State>[] = [];
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
   * @throws OverloadedError when too many wait already, of all keys or of this one; ConnectionError after {@link close}.
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
    const present = this.lanes.get(key);
    this.admit(key, present?.waiting ?? 0);
    const ttlMs = this.ttlOf(options.ttl);
    const { idempotencyKey } = options;
    const hash = idempotencyKey === undefined ? undefined : hashIdempotencyKey(idempotencyKey);
    const lane = present ?? this.spare.pop() ?? this.newLane();
    lane.waiting += 1;
    this.count(1);
    const operation = new PendingOperation<State, Answer>(
      {
        name,
        key,
        bucket,
        change,
        blind: options.blind ?? false,
        hash,
        ttlMs,
        maxAttempts: options.maxAttempts ?? this.limits.maxAttempts,
        timeoutMs: this.limits.timeoutMs,
        signal: options.signal,
        answer,
      },
      lane.onSettled,
    );
    if (!operation.settled) {
      if (present === undefined) this.open(key, lane);
      lane.commits.add(operation);
    } else if (present === undefined) {
      this.spare.push(lane);
    }
    return operation.promise;
  }

  /** Takes no more; resolves when what waits has ended. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.lanes.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  private ttlOf(ttl: Duration | undefined): number | undefined {
    if (ttl === undefined) return undefined;
    const where = `Writing to bucket "${this.context.bucket}"`;
    if (!this.limits.entryTtl) throw new ConfigurationError(where, ['ttl needs entryTtl: true in @KvObject']);
    const ttlMs = toMilliseconds(ttl);
    if (ttlMs < 1_000) throw new ConfigurationError(where, [`a ttl of ${ttlMs} ms is shorter than a second`]);
    return ttlMs;
  }

  /**
   * A key gets at most as many places as are still free: alone half of all, two a third each, and so on. So one that
   * everybody changes, or that does not get on, leaves room for the others, however many callers it has.
   */
  private admit(key: string, ofKey: number): void {
    const { maxQueued } = this.limits;
    const free = maxQueued - this.waiting;
    if (free > 0 && (ofKey < free || ofKey < LEAST_SHARE)) return;
    const where = `the store of bucket "${this.context.bucket}"`;
    if (free <= 0)
      throw new OverloadedError(
        `${this.waiting} operations wait in ${where} (maxQueued). Await some before starting more, or raise the limit.`,
      );
    throw new OverloadedError(
      `${ofKey} operations of "${key}" wait in ${where}, and the ${free} places that are free are left to other keys (maxQueued is ${maxQueued}). Await some before starting more, split the entry, or raise the limit.`,
    );
  }

  private newLane(): Lane<State> {
    const lane: Lane<State> = {
      commits: new KeyCommits(this.context, (key) => this.onIdle(key, lane)),
      waiting: 0,
      onSettled: () => {
        lane.waiting -= 1;
        this.count(-1);
      },
    };
    return lane;
  }

  private open(key: string, lane: Lane<State>): void {
    lane.commits.take(key);
    this.lanes.set(key, lane);
    this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  private onIdle(key: string, lane: Lane<State>): void {
    this.lanes.delete(key);
    if (this.spare.length < MAX_SPARE) this.spare.push(lane);
    if (this.lanes.size > 0 || this.idle.length === 0) return;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  private sweep(): void {
    const now = performance.now();
    for (const { commits } of this.lanes.values()) commits.expire(now);
    // Not stopped as soon as nothing waits: a busy store would make a new timer for every operation.
    if (this.lanes.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }

  private count(by: number): void {
    this.waiting += by;
    this.onQueued(by);
  }
}
