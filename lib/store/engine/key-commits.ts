import { OutcomeUnknownError } from '../../common/errors.js';
import { applyBatch, settle, type AppliedBatch } from './apply-batch.js';
import { isPassing } from './bucket-request.js';
import type { Base, Begun, CommitContext, Unwritten, Written } from './commit-context.js';
import { Contention } from './contention.js';
import type { PreparedWrite } from './entry-writer.js';
import { inDoubt } from './doubt.js';
import { fullJitter } from './full-jitter.js';
import { countConflict, earliest, isBlamable, rejectUnknowable } from './operation-failures.js';
import type { PendingOperation } from './pending-operation.js';
import { isWaiting, WaitingOperations } from './waiting-operations.js';
import type { StoredEntry } from './stored-entry.js';

/** Operations that one write may commit: bounds how long reducers hold the event loop. */
const MAX_BATCH = 512;
/** Batch limit at which a batch is committed as it is, without taking from the queue. */
const TAKE_NONE = 0;

const SOON = Promise.resolve();
const NOBODY: ReadonlySet<never> = new Set<never>();

/**
 * Group commit of one key: operations queue, are applied in order to one state, and committed by one write that
 * holds only if the key's revision is still the one they were applied to. What arrives while a write is on
 * the way is the next batch. Settling follows the commit, also for operations that threw or changed nothing:
 * what they saw was true only if the commit proves it, or a read from the leader does.
 */
export class KeyCommits<State> {
  private key = '';
  private readonly waiting = new WaitingOperations<State>();
  /** Operations under commit now. */
  private batch: PendingOperation<State>[] = [];
  /** Operations that are committed each alone, after one another. */
  private alone: readonly PendingOperation<State>[] = [];
  private running = false;
  private readonly contention = new Contention();

  constructor(
    private readonly context: CommitContext<State>,
    /** Nothing is left to do for the key; another may be taken. */
    private readonly onIdle: (key: string, commits: KeyCommits<State>) => void,
  ) {}

  /** Works for another key from now on. */
  take(key: string): void {
    this.key = key;
    this.contention.clear();
  }

  /** Queues an operation; it settles itself. */
  add(operation: PendingOperation<State>): void {
    this.waiting.add(operation);
    if (this.running) return;
    this.running = true;
    // Whatever is asked for in the same tick shall share the first write.
    void SOON.then(this.next);
  }

  /** Gives up the operations that are overdue. */
  expire(now: number): void {
    this.waiting.expire(now);
    for (const operation of this.batch) operation.expire(now);
    for (const operation of this.alone) operation.expire(now);
  }

  /**
   * Takes up the next batch. What is nearly always the case, a write that succeeds on what is remembered, is done here and
   * in {@link follow} with a single promise; {@link commit} does everything.
   */
  private readonly next = (): void => {
    this.batch = [];
    if (!this.refill(MAX_BATCH)) {
      this.running = false;
      this.onIdle(this.key, this);
      return;
    }
    const begun = this.begin();
    if (begun === undefined) void this.finish();
    else this.follow(begun);
  };

  /** Sends the batch on what is believed; `undefined` when there is nothing to go by, or something is not right. */
  private begin(): Begun<State> | undefined {
    const base = this.context.recall(this.key);
    if (base === undefined) return undefined;
    const applied = this.apply(base, this.batch);
    if (applied.write === undefined || !this.batch.every(isWaiting)) return undefined;
    let write: PreparedWrite;
    try {
      write = this.prepare(base.entry, applied);
    } catch {
      // Whatever is wrong with it comes again in commit(), from a state that is certain, and reaches the callers there.
      return undefined;
    }
    return { base, applied, write, startedAt: performance.now(), published: write.publish() };
  }

  private follow(begun: Begun<State>): void {
    begun.published.then(
      ({ sequence }) => {
        if (this.contention.isThere) return void this.finish(begun);
        this.context.remember(this.key, begun.write.entryAt(sequence));
        this.committed(begun.applied, sequence);
        this.next();
      },
      () => void this.finish(begun),
    );
  }

  /** Commits the batch at length, goes on with the next. Never rejects. */
  private async finish(begun?: Begun<State>): Promise<void> {
    try {
      await this.commit(MAX_BATCH, begun);
    } catch (error) {
      this.context.forget(this.key);
      for (const operation of this.batch) operation.reject(error);
    }
    this.next();
  }

  /** Fills the batch up to `limit` from the queue. @returns whether there is anything to do. */
  private refill(limit: number): boolean {
    this.batch = this.waiting.fill(this.batch, limit);
    return this.batch.length > 0;
  }

  /**
   * Commits the batch, however many rounds that takes; returns when nobody of it waits any more. After `begun`, the
   * first round's write that is on its way, only what the leader says counts.
   */
  private async commit(limit: number, begun?: Begun<State>): Promise<void> {
    let pause: (() => Promise<void>) | undefined;
    let base: Base | undefined = begun?.base;
    /** Those that were there before the state was asked for. */
    let asked: ReadonlySet<PendingOperation<State>> = NOBODY;
    while (begun !== undefined || this.refill(limit)) {
      if (base === undefined) {
        asked = new Set(this.batch);
        base = { entry: await this.readUntilAnswered(), kind: 'fresh' };
        // Others may have come, and some gone, in the meantime.
        if (!this.refill(limit)) return;
      }
      const operations = this.batch;
      const applied = begun?.applied ?? this.apply(base, operations);
      // Cancelled by what a reducer did, and told so: without them.
      if (begun === undefined && !operations.every(isWaiting)) continue;
      if (applied.write === undefined) {
        // The answer may be older than who came while it was on its way; without a write, nothing proves that it still holds.
        const proven = applied.outcomes.filter(({ operation }) => asked.has(operation));
        settle(proven, base.entry.revision);
        begun = base = undefined;
        continue;
      }
      let written: Written | Unwritten;
      try {
        written = await this.write(base.entry, applied, begun);
      } catch (error) {
        if (!isBlamable(error)) throw error;
        this.notSent();
        if (base.kind === 'fresh') {
          if (operations.length === 1) throw error;
          return this.commitOneByOne(operations);
        }
        // Decided on a guess: look.
        begun = base = undefined;
        continue;
      }
      if (typeof written === 'object') {
        this.committed(applied, written.revision);
        if (this.waiting.size > 0 && this.contention.isThere) await this.contention.yield();
        return;
      }
      const { kind } = base;
      begun = base = undefined;
      this.notSent();
      // A wrong guess is nobody's win, and neither is a reply that is lost.
      if (kind === 'guessed' || written === 'unknowable') continue;
      this.context.meter.conflict();
      this.contention.noticed();
      this.context.lost(this.key);
      countConflict(operations);
      // What was remembered may be long out of date; only losing with a fresh state means that others write right now.
      if (kind === 'fresh') await (pause ??= fullJitter(this.context.backoff))();
    }
  }

  /** One of the batch makes a value that cannot be stored: find out which by committing each alone. */
  private async commitOneByOne(operations: readonly PendingOperation<State>[]): Promise<void> {
    this.alone = operations;
    for (const operation of operations) {
      this.batch = [operation];
      try {
        await this.commit(TAKE_NONE);
      } catch (error) {
        this.context.forget(this.key);
        operation.reject(error);
      }
    }
    this.alone = [];
  }

  private apply({ entry }: Base, operations: readonly PendingOperation<State>[]): AppliedBatch<State> {
    return applyBatch(this.context.codec, this.key, entry, operations, this.context);
  }

  private prepare(base: StoredEntry, { write, hashes }: AppliedBatch<State>): PreparedWrite {
    const { codec, writer } = this.context;
    const data = write?.kind === 'value' ? codec.encode(this.key, write.state) : undefined;
    const purge = write?.purge ?? false;
    const ttlMs = write?.kind === 'value' ? write.ttlMs : undefined;
    const madeFrom = write?.kind === 'value' ? write.madeFrom : 0;
    const prepared = writer.prepare(this.key, base, data, { purge, hashes, ttlMs, madeFrom });
    for (const operation of this.batch) operation.sent = true;
    return prepared;
  }

  /** Sends the write until it is certain what became of it, or that this cannot be known. */
  private async write(
    base: StoredEntry,
    applied: AppliedBatch<State>,
    begun: Begun<State> | undefined,
  ): Promise<Written | Unwritten> {
    const attempt = begun?.write ?? this.prepare(base, applied);
    const startedAt = begun?.startedAt ?? performance.now();
    const outcome = await attempt.outcomeOf(begun?.published ?? attempt.publish());
    if (outcome.kind === 'stored') {
      this.contention.wrote(startedAt);
      this.context.remember(this.key, outcome.entry);
      return outcome.entry;
    }
    this.context.forget(this.key);
    if (outcome.kind === 'conflict') return 'lost';
    try {
      return await this.resolve(attempt);
    } catch (error) {
      // Whatever it is, it is not about a write of which nothing is stored.
      throw inDoubt(this.what, error);
    }
  }

  /** After a reply that was lost: what is stored now tells what became of the write. */
  private async resolve(attempt: PreparedWrite): Promise<Written | Unwritten> {
    let pause: (() => Promise<void>) | undefined;
    for (;;) {
      const now = await this.readUntilAnswered();
      const verdict = attempt.judge(now, performance.now() - earliest(this.batch));
      if (verdict === 'applied') {
        this.context.remember(this.key, now);
        return { revision: undefined };
      }
      if (verdict === 'not applied') return 'lost';
      if (verdict === 'unknowable') {
        rejectUnknowable(this.batch);
        return 'unknowable';
      }
      // Still at the revision the write was made for: it has not arrived, or is about to. The same write again is safe.
      if (!this.anybodyWaits()) throw new OutcomeUnknownError(this.what, 'every caller gave up');
      this.context.meter.retry();
      await (pause ??= fullJitter(this.context.backoff))();
      const outcome = await attempt.outcomeOf(attempt.publish());
      this.context.forget(this.key);
      if (outcome.kind !== 'stored') continue;
      this.context.remember(this.key, outcome.entry);
      return outcome.entry;
    }
  }

  /** For errors about a write. */
  private get what(): string {
    return `A write to "${this.key}" in bucket "${this.context.bucket}"`;
  }

  private notSent(): void {
    for (const operation of this.batch) operation.sent = false;
  }

  private committed(applied: AppliedBatch<State>, revision: number | undefined): void {
    this.context.meter.committed(applied.outcomes.length);
    settle(applied.outcomes, revision);
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
    return this.batch.some(isWaiting) || this.alone.some(isWaiting) || this.waiting.hasAny();
  }
}
