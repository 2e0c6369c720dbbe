import {
  CancelledError,
  ConflictError,
  ConnectionError,
  OperationTimeoutError,
  OutcomeUnknownError,
  OverloadedError,
} from '../../common/errors.js';
import { hashIdempotencyKey } from './applied-keys.js';
import { publishAtomically } from './atomic-batch.js';
import { isPassing } from './bucket-request.js';
import type { Change } from './change.js';
import type { CommitContext } from './commit-context.js';
import { inDoubt, REPLACED } from './doubt.js';
import type { EntryWriter, PreparedWrite } from './entry-writer.js';
import { fullJitter } from './full-jitter.js';
import type { QueueLimits, WriteOptions } from './operation-queue.js';
import { orAborted } from './or-aborted.js';
import type { StoreConnection } from './store-connection.js';
import type { StoredEntry } from './stored-entry.js';
import { checkKeys, nameKeys } from './transaction-keys.js';

/** As for other writes; a transaction has no `ttl`. */
export type TransactionOptions = Omit<WriteOptions, 'ttl'>;

/** What transactions work with. */
export interface TransactionParts<State> {
  readonly connection: StoreConnection;
  readonly context: Pick<
    CommitContext<State>,
    'bucket' | 'codec' | 'backoff' | 'rememberMs' | 'recall' | 'read' | 'remember' | 'forget' | 'isClosed' | 'meter'
  >;
  readonly limits: QueueLimits;
  /** A writer of its own for each transaction that runs: by a writer's mark it is known what became of its last write. */
  readonly newWriter: () => EntryWriter;
}

/** One transaction as a function of the states before it; `undefined` where there is no entry. May be called several times. */
export type TransactionChange<State> = (before: (State | undefined)[]) => readonly Change<State>[];

/**
 * Changes several keys of a bucket at once, by an atomic batch that holds only if none of them was written since it was
 * read. On a conflict everything is read and tried again.
 */
export class Transactions<State> {
  private readonly idle: EntryWriter[] = [];
  private readonly running = new Set<Promise<unknown>>();
  private closed = false;

  constructor(private readonly parts: TransactionParts<State>) {}

  /** @returns the states after it. */
  async run(
    keys: readonly string[],
    change: TransactionChange<State>,
    options: TransactionOptions,
  ): Promise<(State | undefined)[]> {
    const { bucket } = this.parts.context;
    if (this.closed) throw new ConnectionError(`The store of bucket "${bucket}" is closed.`);
    const { maxQueued } = this.parts.limits;
    if (this.running.size >= maxQueued)
      throw new OverloadedError(
        `${maxQueued} transactions are under way in bucket "${bucket}" (maxQueued). Await some before starting more, or raise the limit.`,
      );
    checkKeys(bucket, keys);
    const writer = this.idle.pop() ?? this.parts.newWriter();
    const what = `transaction of ${nameKeys(keys)} in bucket "${bucket}"`;
    const transaction = new Transaction(this.parts, writer, what, keys, change, options);
    const work = transaction.run().finally(() => this.idle.push(writer));
    this.running.add(work);
    try {
      return await orAborted(work, () => transaction.label, options.signal);
    } finally {
      // A cancelled one may still be on the way.
      void work.finally(() => this.running.delete(work)).catch(toldAlready);
    }
  }

  /** Takes no more; resolves when those under way have ended. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.allSettled(this.running);
  }
}

function toldAlready(): void {
  // The caller of run() has the error, or has cancelled.
}

/** One transaction on its way. */
class Transaction<State> {
  private readonly deadline: number;
  private readonly hash: Buffer | undefined;
  private readonly pause: () => Promise<void>;
  private conflicts = 0;
  /** A batch is on the way or was, and what became of it is not known. */
  private sent = false;
  /** The error by which the reply to that batch was lost. */
  private lost: { readonly cause: unknown } | undefined;

  constructor(
    private readonly parts: TransactionParts<State>,
    private readonly writer: EntryWriter,
    private readonly what: string,
    private readonly keys: readonly string[],
    private readonly change: TransactionChange<State>,
    private readonly options: TransactionOptions,
  ) {
    this.deadline = performance.now() + parts.limits.timeoutMs;
    this.hash = options.idempotencyKey === undefined ? undefined : hashIdempotencyKey(options.idempotencyKey);
    this.pause = fullJitter(parts.context.backoff, options.signal);
  }

  /** For errors. */
  get label(): string {
    return this.sent ? `${this.what}, already sent and perhaps applied,` : this.what;
  }

  async run(): Promise<(State | undefined)[]> {
    try {
      return await this.untilCommitted();
    } catch (error) {
      throw this.lost === undefined ? error : inDoubt(`The ${this.what}`, error);
    }
  }

  private async untilCommitted(): Promise<(State | undefined)[]> {
    let believed = this.recallAll();
    for (;;) {
      const bases = believed ?? (await this.readAll());
      const attempt = this.apply(bases);
      if (attempt.kind === 'write') {
        this.throwIfCancelled();
        if (await this.isCommitted(bases, attempt.writes)) return attempt.states;
        this.sent = false;
        this.lost = undefined;
      } else if (believed === undefined && (await this.isSnapshot(bases))) {
        if (attempt.kind === 'threw') throw attempt.error;
        return attempt.states;
      }
      // What was remembered may be long out of date: losing with it is nobody's win, and nothing is decided by it.
      if (believed === undefined) {
        this.countConflict();
        await this.pause();
      }
      believed = undefined;
    }
  }

  /** What is believed of all keys; `undefined` when one of them has to be read anyway. */
  private recallAll(): StoredEntry[] | undefined {
    const beliefs = this.keys.map((key) => this.parts.context.recall(key)?.entry);
    return beliefs.every((entry) => entry !== undefined) ? beliefs : undefined;
  }

  /** Nothing is believed of it before it is committed, or {@link isSnapshot} says that all was so at one time. */
  private apply(
    bases: readonly StoredEntry[],
  ):
    | { readonly kind: 'write'; readonly states: (State | undefined)[]; readonly writes: PreparedWrite[] }
    | { readonly kind: 'keep'; readonly states: (State | undefined)[] }
    | { readonly kind: 'threw'; readonly error: unknown } {
    const { hash } = this;
    const { codec, rememberMs } = this.parts.context;
    try {
      const isDuplicate = hash !== undefined && bases.some(({ applied }) => applied.has(hash, rememberMs));
      if (isDuplicate) return { kind: 'keep', states: this.decode(bases) };
      const changes = this.change(this.decode(bases));
      // New copies of what is kept: the drafts may have been changed before it was decided to keep things as they are.
      const kept = this.decode(bases);
      const states = changes.map((change, index) =>
        change.kind === 'write' ? change.state : change.kind === 'keep' ? kept[index] : undefined,
      );
      const keeps = (change: Change<State>, index: number): boolean =>
        change.kind === 'keep' || (change.kind === 'remove' && bases[index]?.data === undefined);
      if (changes.every(keeps)) return { kind: 'keep', states };
      const hashes = hash === undefined ? [] : [hash];
      const writes = this.keys.map((key, index) => {
        const [change, base] = [changes[index], bases[index]] as [Change<State>, StoredEntry];
        const madeFrom = base.data === undefined ? 0 : base.schemaVersion;
        const details = { purge: false, hashes, ttlMs: undefined, madeFrom };
        if (change.kind === 'write') return this.writer.prepare(key, base, codec.encode(key, change.state), details);
        // What is kept is written again as it is: so the whole holds only if that has not changed either.
        const data = change.kind === 'keep' ? base.data : undefined;
        return this.writer.prepare(key, base, data, { ...details, schemaVersion: base.schemaVersion });
      });
      return { kind: 'write', states, writes };
    } catch (error) {
      return { kind: 'threw', error };
    }
  }

  private decode(bases: readonly StoredEntry[]): (State | undefined)[] {
    return bases.map((base, index) => {
      const key = this.keys[index] ?? '';
      return base.data === undefined ? undefined : this.parts.context.codec.decode(key, base, base.data);
    });
  }

  /**
   * Sends the writes until it is certain what became of them.
   *
   * @throws OutcomeUnknownError when this cannot be known.
   */
  private async isCommitted(bases: readonly StoredEntry[], writes: readonly PreparedWrite[]): Promise<boolean> {
    const { context, connection } = this.parts;
    this.sent = true;
    const started = performance.now();
    for (;;) {
      const messages = writes.map(({ message }) => message);
      const left = Math.max(1, Math.min(REPLY_MS, this.deadline - performance.now()));
      const outcome = await publishAtomically(connection, messages, left);
      if (outcome.kind === 'stored') {
        const first = outcome.lastRevision - writes.length + 1;
        for (const [index, write] of writes.entries()) context.remember(write.key, write.entryAt(first + index));
        context.meter.committed(1);
        return true;
      }
      for (const key of this.keys) context.forget(key);
      if (outcome.kind === 'unknown') this.lost = outcome;
      if (this.lost === undefined) return false;
      const now = await this.readAll();
      const sentMs = performance.now() - started;
      const verdicts = writes.map((write, index) => write.judge(now[index] ?? (bases[index] as StoredEntry), sentMs));
      if (verdicts.includes('applied')) return true;
      if (verdicts.includes('not applied')) return false;
      if (verdicts.includes('unknowable')) throw new OutcomeUnknownError(`The ${this.what}`, REPLACED, this.lost);
      this.throwIfOverdue();
      context.meter.retry();
      await this.pause();
    }
  }

  /** Whether all were as in `bases` at one time: none has been written since it was read. */
  private async isSnapshot(bases: readonly StoredEntry[]): Promise<boolean> {
    if (bases.length === 1) return true;
    const again = await this.readAll();
    return again.every(({ revision }, index) => revision === bases[index]?.revision);
  }

  private async readAll(): Promise<StoredEntry[]> {
    const { context } = this.parts;
    for (;;) {
      this.throwIfCancelled();
      try {
        const left = Math.max(1, this.deadline - performance.now());
        return await Promise.all(this.keys.map((key) => context.read(key, left)));
      } catch (error) {
        if (!isPassing(error) || context.isClosed()) throw error;
        this.throwIfOverdue();
        context.meter.retry();
        await this.pause();
      }
    }
  }

  /** Nobody waits for it any more: it goes no further. */
  private throwIfCancelled(): void {
    const { signal } = this.options;
    if (signal?.aborted === true) throw new CancelledError(`The ${this.label}`, { cause: signal.reason });
  }

  private throwIfOverdue(): void {
    if (performance.now() < this.deadline) return;
    const { timeoutMs } = this.parts.limits;
    if (!this.sent) throw new OperationTimeoutError(this.what, timeoutMs);
    throw new OutcomeUnknownError(`The ${this.what}`, `the server did not answer within ${timeoutMs} ms`, this.lost);
  }

  private countConflict(): void {
    const { context, limits } = this.parts;
    context.meter.conflict();
    this.conflicts += 1;
    if (this.conflicts >= (this.options.maxAttempts ?? limits.maxAttempts))
      throw new ConflictError(
        `The ${this.what} lost against other writers ${this.conflicts} times (maxAttempts); nothing was written.`,
      );
    this.throwIfOverdue();
  }
}

/** Silence after which the entries are asked what became of a batch. */
const REPLY_MS = 3_000;
