import { ConnectionError, DecodeError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import type { FlowTracer } from '../../telemetry/tracer.js';
import type { FlowMeter, StoreMeter } from '../../telemetry/metrics.js';
import { within } from '../../connection/within.js';
import { AbsenceGuess } from './absence-guess.js';
import { BucketAdmin } from './bucket-admin.js';
import { onBucketDeleted } from './bucket-deletion.js';
import type { BucketLayout } from './bucket-layout.js';
import { BucketReader } from './bucket-reader.js';
import type { BucketWatchOptions } from './bucket-watch.js';
import type { Belief, CommitContext } from './commit-context.js';
import { EntryWriter } from './entry-writer.js';
import type { ResolvedKvObject } from './kv-object.options.js';
import type { AnyKvReducer, InputOf, KeyOf, KvReducer, StateOf } from './kv-reducer.js';
import { OperationQueue } from './operation-queue.js';
import type { ProvisionedBucket } from './provision-bucket.js';
import { RememberedEntries } from './remembered-entries.js';
import type { RunningWatch } from './shared-watch.js';
import { SharedWatches } from './shared-watches.js';
import type { StateCodec } from './state-codec.js';
import type { StoreConnection } from './store-connection.js';
import { ABSENT, toStoredEntry, type StoredEntry, type StoredRevision } from './stored-entry.js';
import { KeySpace } from './store-key.js';
import { Transactions } from './transactions.js';
import { untilAnswered } from './until-answered.js';

/** What an `ObjectStore` is made of. */
export interface StorePartsInit<R extends AnyKvReducer> {
  readonly connection: StoreConnection;
  readonly reducer: R;
  readonly settings: Omit<ResolvedKvObject, 'schema' | 'migrate'>;
  readonly layout: BucketLayout;
  readonly codec: StateCodec<StateOf<R>>;
  readonly provisioned: ProvisionedBucket;
  readonly log: Log;
  readonly tracer: FlowTracer;
  readonly meters: FlowMeter;
  readonly stopping: AbortSignal | undefined;
  readonly onLost: ((key: string) => void) | undefined;
}

const EMPTY = new Uint8Array(0);
/** How long the end of a store waits for watches that were about to begin. */
const LEAVING_MS = 1_000;

/** The parts of one `ObjectStore`, wired. */
export class StoreParts<R extends AnyKvReducer> {
  readonly connection: StoreConnection;
  readonly layout: BucketLayout;
  readonly codec: StateCodec<StateOf<R>>;
  readonly keySpace: KeySpace;
  readonly reducer: KvReducer<StateOf<R>, InputOf<R>, KeyOf<R>>;
  readonly reader: BucketReader;
  readonly remembered: RememberedEntries;
  readonly queue: OperationQueue<StateOf<R>>;
  readonly admin: BucketAdmin;
  /** Where the object allows them. */
  readonly transactions: Transactions<StateOf<R>> | undefined;
  private closed = false;
  private readonly absence = new AbsenceGuess();
  private readonly watches = new Set<() => void>();
  /** Watches that begin. */
  private readonly starting = new Set<Promise<void>>();
  private readonly shared: SharedWatches;
  private readonly meter: StoreMeter;
  private readonly unlisten: () => void;

  constructor(private readonly init: StorePartsInit<R>) {
    const { connection, layout, codec, settings, provisioned } = init;
    const meter = init.meters.store(layout.bucket);
    this.meter = meter;
    this.connection = connection;
    this.layout = layout;
    this.codec = codec;
    this.keySpace = new KeySpace(settings.scope);
    // The types of R are inferred from these very methods.
    this.reducer = init.reducer as AnyKvReducer as KvReducer<StateOf<R>, InputOf<R>, KeyOf<R>>;
    const forget = (): void => this.remembered.forgetAll();
    this.reader = new BucketReader(connection, layout, provisioned.allowsDirect, forget);
    this.admin = new BucketAdmin(connection, layout, (ask, what) => this.untilAnswered(ask, what));
    this.shared = new SharedWatches(connection, layout, init.log);
    this.remembered = new RememberedEntries(settings.cache);
    const { schemaVersion, remember } = settings;
    const { cleanupMs } = settings.bucket;
    const { history, shortestLifeMs } = provisioned;
    const { contentType } = codec;
    const entries = { contentType, schemaVersion, remember, cleanupMs, history, shortestLifeMs };
    const newWriter = (): EntryWriter => new EntryWriter(connection, layout, entries);
    const context: CommitContext<StateOf<R>> = {
      bucket: layout.bucket,
      codec,
      writer: newWriter(),
      backoff: settings.backoff,
      rememberMs: remember.ageMs,
      keepsHistory: history !== 1,
      recall: (key) => this.recall(key),
      remember: (key, entry) => this.remembered.set(key, entry),
      forget: (key) => this.remembered.forget(key),
      lost: (key) => init.onLost?.(key),
      read: (key, patienceMs) => this.readForWrite(key, patienceMs),
      isClosed: () => connection.status === 'closed',
      meter,
    };
    this.queue = new OperationQueue(context, settings.queue, (by) => meter.queued(by));
    if (settings.bucket.transactions)
      this.transactions = new Transactions({ connection, context, limits: settings.queue, newWriter });
    const unwatch = onBucketDeleted(connection, layout, forget);
    const unlisten = connection.onStatus((status) => {
      if (status !== 'connected') forget();
    });
    this.unlisten = () => {
      unwatch();
      unlisten();
    };
  }

  private recall(key: string): Belief | undefined {
    const entry = this.remembered.get(key);
    if (entry !== undefined) return { entry, kind: 'remembered' };
    return this.absence.likely ? { entry: ABSENT, kind: 'guessed' } : undefined;
  }

  private async readForWrite(key: string, patienceMs?: number): Promise<StoredEntry> {
    const entry = await this.reader.latest(key, 'leader', patienceMs);
    this.absence.seen(entry.revision > 0);
    return entry;
  }

  /** Whether somebody records spans or metrics. */
  get isObserved(): boolean {
    return this.init.tracer.isActive || this.init.meters.enabled;
  }

  /** Runs an operation inside a span and measures it. */
  observe<T>(operation: string, key: string, fn: () => Promise<T>): Promise<T> {
    const { tracer, meters } = this.init;
    const target = { bucket: this.layout.bucket, key };
    return tracer.storeOperation(operation, target, meters.enabled ? () => this.measure(operation, fn) : fn);
  }

  private async measure<T>(operation: string, fn: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await fn();
    } finally {
      this.meter.operation(operation, performance.now() - started);
    }
  }

  /** The outcome of a request, repeated while the server is away, for as long as an operation may take. */
  untilAnswered<T>(
    ask: (leftMs: number, attempts: number) => Promise<T>,
    what: () => string,
    signal?: AbortSignal,
  ): Promise<T> {
    const { queue, backoff } = this.init.settings;
    const onRetry = (): void => this.meter.retry();
    return untilAnswered(this.connection, ask, { patienceMs: queue.timeoutMs, backoff, what, signal, onRetry });
  }

  /** Ends all watches when it aborts. */
  get stopping(): AbortSignal | undefined {
    return this.init.stopping;
  }

  get log(): Log {
    return this.init.log;
  }

  startWatch(options: BucketWatchOptions): Promise<RunningWatch> {
    const onRevision = (key: string, revision: StoredRevision): void => {
      this.refresh(key, revision);
      options.onRevision(key, revision);
    };
    const start = this.shared.start({ ...options, onRevision });
    const ended = start.then(doNothing, doNothing).finally(() => this.starting.delete(ended));
    this.starting.add(ended);
    return start;
  }

  /** A watch tells what others have written: the next update here begins with that, and does not lose against it. */
  private refresh(key: string, { revision, data = EMPTY, created: time, headers }: StoredRevision): void {
    if (!this.remembered.isBehind(key, revision)) return;
    const where = (): string => `Bucket "${this.layout.bucket}", key "${key}", revision ${revision}`;
    try {
      this.remembered.set(key, toStoredEntry(where, { sequence: revision, data, time, headers }));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      // The update that reads it hears of it.
      this.remembered.forget(key);
    }
  }

  /** Registers an open watch, to be ended with the store. @returns a function that takes it out. */
  addWatch(end: () => void): () => void {
    if (this.closed) throw new ConnectionError(`The store of bucket "${this.layout.bucket}" is closed.`);
    this.watches.add(end);
    return () => this.watches.delete(end);
  }

  /** A watch that ends while it begins takes its consumer away first, which it could not when the connection is closed. */
  private async startsEnd(): Promise<void> {
    if (this.starting.size === 0) return;
    // A server that is silent removes what is left by itself.
    await within(LEAVING_MS, 'Leaving watches', Promise.all(this.starting)).catch(doNothing);
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const end of this.watches) end();
    await Promise.all([this.queue.close(), this.transactions?.close(), this.startsEnd()]);
    this.unlisten();
  }
}

function doNothing(): void {
  // Told to whoever asked for it.
}
