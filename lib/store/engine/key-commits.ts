import { setTimeout as delay } from 'node:timers/promises';
import { ConflictError, EncodeError, JetStreamRequestError, OutcomeUnknownError } from '../../common/errors.js';
import { applyBatch, type Applied, type AppliedBatch } from './apply-batch.js';
import { isPassing } from './bucket-request.js';
import type { Belief, CommitContext } from './commit-context.js';
import { fullJitter } from './full-jitter.js';
import type { PendingOperation } from './pending-operation.js';
import type { StoredEntry } from './stored-entry.js';

/** Operations that one write may commit: bounds how long reducers hold the event loop. */
const MAX_BATCH = 512;
/** Batch limit at which a batch is committed as it is, without taking from the queue. */
const TAKE_NONE = 0;
/** A key counts as contended for this long after a conflict. */
const CONTENDED_MS = 1_000;
/** Queue length from which settled operations are cleared out. */
const COMPACT_FROM = 256;

/** The state a batch is applied to: from the leader just now, or believed. */
type Base = Belief | { readonly entry: StoredEntry; readonly kind: 'fresh' };

/**
 * Group commit of one key: operations queue, are applied in order to one state, and committed by one write that
 * holds only if the key's revision is still the one they were applied to. What arrives while a write is on
 * the way is the next batch. Settling follows the commit, also for operations that threw or changed nothing:
 * what they saw was true only if the commit proves it, or a read from the leader does.
 */
export class KeyCommits<State> {
  private queue: PendingOperation<State>[] = [];
  private compactAt = COMPACT_FROM;
  private running: Promise<void> | undefined;
  private contendedUntil = 0;
  private lastWriteMs = 0;

  constructor(
    private readonly key: string,
    private readonly context: CommitContext<State>,
    private readonly onIdle: () => void,
  ) {}

  /** Queues an operation; it settles itself. */
  add(operation: PendingOperation<State>): void {
    this.queue.push(operation);
    if (this.queue.length >= this.compactAt) this.compact();
    this.running ??= this.run();
  }

  /** Gives up the operations that are overdue. */
  expire(now: number): void {
    for (const operation of this.queue) operation.expire(now);
    for (const operation of this.batch) operation.expire(now);
  }

  /** Operations under commit now. */
  private batch: PendingOperation<State>[] = [];

  private async run(): Promise<void> {
    // Whatever is asked for in the same tick shall share the first write.
    await Promise.resolve();
    while (this.refill(MAX_BATCH)) {
      try {
        await this.commit(MAX_BATCH);
      } catch (error) {
        this.context.forget(this.key);
        for (const operation of this.batch) operation.reject(error);
      }
      this.batch = [];
    }
    this.running = undefined;
    this.onIdle();
  }

  /** Fills the batch up to `limit` from the queue. @returns whether there is anything to do. */
  private refill(limit: number): boolean {
    if (this.batch.some(isSettled)) this.batch = this.batch.filter((operation) => !operation.settled);
    if (this.batch.length === 0 && this.queue.length <= limit && !this.queue.some(isSettled)) {
      this.batch = this.queue;
      this.queue = [];
    }
    while (this.batch.length < limit && this.queue.length > 0) {
      const taken = this.queue.splice(0, limit - this.batch.length);
      for (const operation of taken) if (!operation.settled) this.batch.push(operation);
    }
    return this.batch.length > 0;
  }

  /** Commits the batch, however many rounds that takes; returns when nobody of it waits any more. */
  private async commit(limit: number): Promise<void> {
    let pause: (() => Promise<void>) | undefined;
    let base: Base | undefined = this.context.recall(this.key);
    while (this.refill(limit)) {
      if (base === undefined) {
        base = { entry: await this.readUntilAnswered(), kind: 'fresh' };
        // Others may have come, and some gone, in the meantime.
        if (!this.refill(limit)) return;
      }
      const operations = this.batch;
      const { entry } = base;
      const applied = applyBatch(this.context.codec, this.key, entry, operations);
      if (applied.write === undefined && base.kind !== 'fresh') {
        // Nothing to write means nothing proves that the guess was right: ask.
        base = undefined;
        continue;
      }
      if (applied.write === undefined) {
        settle(applied.outcomes);
        return;
      }
      let committed: boolean;
      try {
        committed = await this.write(entry, applied);
      } catch (error) {
        if (!isBlamable(error)) throw error;
        this.lost();
        if (base.kind !== 'fresh') {
          base = undefined;
          continue;
        }
        if (operations.length === 1) throw error;
        return this.commitOneByOne(operations);
      }
      if (committed) {
        this.context.meter.committed(operations.length);
        settle(applied.outcomes);
        return this.yieldWhenContended();
      }
      const { kind } = base;
      base = undefined;
      // A wrong guess is nobody's win.
      if (kind === 'guessed') continue;
      this.countConflict(operations);
      // What was remembered may be long out of date; only losing with a fresh state means that others write right now.
      if (kind === 'fresh') await (pause ??= fullJitter(this.context.backoff))();
    }
  }

  /** One of the batch makes a value that cannot be stored: find out which by committing each alone. */
  private async commitOneByOne(operations: readonly PendingOperation<State>[]): Promise<void> {
    for (const operation of operations) {
      this.batch = [operation];
      try {
        await this.commit(TAKE_NONE);
      } catch (error) {
        this.context.forget(this.key);
        operation.reject(error);
      }
    }
  }

  /** @returns whether the write was applied; `false`: another writer came first, and certainly ours will not count. */
  private async write(base: StoredEntry, applied: AppliedBatch<State>): Promise<boolean> {
    const { codec, writer } = this.context;
    const { write, hashes } = applied;
    if (write === undefined) return true;
    const data = write.kind === 'value' ? codec.encode(write.state) : undefined;
    const attempt = writer.prepare(this.key, base, data, { purge: write.kind === 'deletion' && write.purge, hashes });
    for (const operation of this.batch) operation.sent = true;
    let pause: (() => Promise<void>) | undefined;
    const started = performance.now();
    let uncertain = false;
    for (;;) {
      const outcome = await attempt.send();
      if (outcome.kind === 'stored') {
        this.lastWriteMs = performance.now() - started;
        this.context.remember(this.key, outcome.entry);
        return true;
      }
      this.context.forget(this.key);
      uncertain ||= outcome.kind === 'unknown';
      if (!uncertain) return this.lost();
      // The reply is lost. What is stored now tells what became of it.
      const now = await this.readUntilAnswered();
      const verdict = attempt.judge(now);
      if (verdict === 'applied') {
        this.context.remember(this.key, now);
        return true;
      }
      if (verdict === 'not applied') return this.lost();
      if (verdict === 'unknowable') {
        this.rejectUnknowable();
        return this.lost();
      }
      // Still at the revision the write was made for: it has not arrived, or is about to. The same write again is safe.
      if (!this.anybodyWaits())
        throw new OutcomeUnknownError(
          `A write to "${this.key}" in bucket "${this.context.bucket}"`,
          'every caller gave up',
        );
      this.context.meter.retry();
      await (pause ??= fullJitter(this.context.backoff))();
    }
  }

  private lost(): false {
    for (const operation of this.batch) operation.sent = false;
    return false;
  }

  /** Operations without an idempotency key may not be repeated; the others find out by it. */
  private rejectUnknowable(): void {
    for (const operation of this.batch) {
      if (operation.request.hash !== undefined) continue;
      const { what } = operation.request;
      operation.reject(
        new OutcomeUnknownError(
          `The ${what}`,
          'the reply was lost, and the entry was replaced from outside the store since',
        ),
      );
    }
  }

  private countConflict(operations: readonly PendingOperation<State>[]): void {
    this.context.meter.conflict();
    this.contendedUntil = performance.now() + CONTENDED_MS;
    for (const operation of operations) {
      operation.conflicts += 1;
      const { what, maxAttempts } = operation.request;
      if (operation.conflicts >= maxAttempts) {
        operation.reject(
          new ConflictError(
            `The ${what} lost against other writers ${operation.conflicts} times (maxAttempts); nothing was written.`,
          ),
        );
      }
    }
  }

  /**
   * The winner of a contended key has the newest revision in hand and would win again and again. It steps back for
   * about as long as another process needs to read and write; its own callers' operations gather meanwhile.
   */
  private async yieldWhenContended(): Promise<void> {
    if (this.queue.length === 0 || performance.now() >= this.contendedUntil) return;
    await delay(Math.random() * Math.min(50, 2 + 2 * this.lastWriteMs));
  }

  /** The leader's answer, asked for until it comes; while anybody waits for it. */
  private async readUntilAnswered(): Promise<StoredEntry> {
    let pause: (() => Promise<void>) | undefined;
    for (;;) {
      try {
        return await this.context.read(this.key);
      } catch (error) {
        if (!isPassing(error) || !this.anybodyWaits() || this.context.isClosed()) throw error;
        this.context.meter.retry();
        await (pause ??= fullJitter(this.context.backoff))();
      }
    }
  }

  private anybodyWaits(): boolean {
    return this.batch.some((operation) => !operation.settled) || this.queue.some((operation) => !operation.settled);
  }

  private compact(): void {
    this.queue = this.queue.filter((operation) => !operation.settled);
    this.compactAt = Math.max(COMPACT_FROM, this.queue.length * 2);
  }
}

function isSettled(operation: { readonly settled: boolean }): boolean {
  return operation.settled;
}

/** Whether the error lies in the value, and so with one of the operations of a batch. */
function isBlamable(error: unknown): boolean {
  return error instanceof EncodeError || (error instanceof JetStreamRequestError && !isPassing(error));
}

function settle<State>(outcomes: readonly Applied<State>[]): void {
  for (const outcome of outcomes) {
    if ('error' in outcome) outcome.operation.reject(outcome.error);
    else outcome.operation.resolve(outcome.result);
  }
}
