import type { Observable } from 'rxjs';
import { ConfigurationError } from '../../common/errors.js';
import type { ChangeFunction, REMOVED, UNCHANGED } from './change.js';
import type { AnyKvReducer, InputOf, KeyOf, KeyPattern, KeyRef, KvReducer, StateOf } from './kv-reducer.js';
import type { BucketStatus, ListOptions, ReadOptions } from './object-store.options.js';
import type { OperationOptions, WriteOptions } from './operation-queue.js';
import type { OperationResult } from './pending-operation.js';
import type { StoreEntry, WatchEvent } from './store-entry.js';
import { StoreKey } from './store-key.js';
import type { StoreParts } from './store-parts.js';
import { toChange, type Modified } from './modified.js';
import { toEvent, watchEvents, type KeyEvent, type WatchOptions } from './watch-events.js';
import { listRevisions } from './bucket-listing.js';
import { readHistory } from './read-history.js';
import { toObservable } from './to-observable.js';
import { toChanges, type TransactionFunction } from './transaction-function.js';
import { nameKeys } from './transaction-keys.js';
import type { TransactionOptions } from './transactions.js';

export type { BucketStatus, ListOptions, ReadOptions } from './object-store.options.js';

/**
 * The state objects of one `@KvObject` class, one per key, kept in a JetStream KV bucket. Inject it with
 * `@InjectObjectStore(Class)`.
 *
 * All changes of a key are linearizable: each is applied to the state the previous one left, whichever process made
 * it, and none is lost. Concurrent changes of a key in one process are committed together. Every promise rejects with
 * a `FlowError`, or with what the reducer threw.
 */
export class ObjectStore<R extends AnyKvReducer> {
  private readonly reducer: KvReducer<StateOf<R>, InputOf<R>, KeyOf<R>>;

  /** @internal Made by `createObjectStore`. */
  constructor(private readonly parts: StoreParts<R>) {
    this.reducer = parts.reducer;
  }

  /** Name of the bucket. */
  get bucket(): string {
    return this.parts.layout.bucket;
  }

  /**
   * Applies `input` to the state of `key` by the reducer's `apply`.
   *
   * @returns the state right after this input, for the caller to keep.
   * @throws whatever the reducer throws; CancelledError, OperationTimeoutError, OutcomeUnknownError, ConflictError,
   * OverloadedError, DecodeError when the stored value is not of the type, EncodeError when the new one is not or is too
   * large.
   */
  update(key: KeyOf<R>, input: InputOf<R>, options: WriteOptions = NO_OPTIONS): Promise<StateOf<R>> {
    const apply: ChangeFunction<StateOf<R>> = (before) => {
      const draft = before ?? this.reducer.empty(key);
      return { kind: 'write', state: this.reducer.apply(draft, input) ?? draft };
    };
    return this.operate('update', key, options, apply, ({ state }) => state ?? this.reducer.empty(key));
  }

  /**
   * Changes the state of `key` by a function: as {@link update}, with what to do in place of an input. The function
   * gets a draft to change (the empty state when there is no entry) and returns nothing, a new state, `UNCHANGED` to write
   * nothing, or `REMOVED` to delete the entry. It may run several times; the last run counts.
   *
   * @returns the state after it; `undefined` when there is no entry then.
   */
  modify<M extends Modified<StateOf<R>>>(
    key: KeyOf<R>,
    change: (draft: StateOf<R>, info: { readonly exists: boolean }) => M,
    options: WriteOptions = NO_OPTIONS,
  ): Promise<StateOf<R> | (Extract<M, typeof UNCHANGED | typeof REMOVED> extends never ? never : undefined)> {
    const apply: ChangeFunction<StateOf<R>> = (before) => {
      const draft = before ?? this.reducer.empty(key);
      return toChange(change(draft, before === undefined ? IS_NEW : EXISTS), draft);
    };
    return this.operate('modify', key, options, apply, ({ state }) => state as StateOf<R>);
  }

  /**
   * Changes several entries at once: all of it is stored, or nothing, and only if none of them was written since it was
   * read. For objects with `transactions`. `change` gets a draft of each, and returns nothing, or for each key what a
   * `modify` function may return. It may run several times; the last run counts. What it leaves `UNCHANGED` is written again as
   * it is, unless everything is. A key that others change all the time makes it wait: `update` is for those.
   *
   * @returns the states after it, of one moment.
   * @throws ConfigurationError without the option, or with a key twice; what `change` throws; else as {@link update}.
   */
  async transaction(
    keys: readonly KeyOf<R>[],
    change: TransactionFunction<StateOf<R>>,
    options: TransactionOptions = {},
  ): Promise<(StateOf<R> | undefined)[]> {
    const { transactions } = this.parts;
    if (transactions === undefined)
      throw new ConfigurationError(`Bucket "${this.bucket}"`, ['transaction needs transactions: true in @KvObject']);
    const texts = keys.map((key) => this.textOf(key));
    const empty = (index: number): StateOf<R> => this.reducer.empty(keys[index] as KeyOf<R>);
    return this.parts.observe('transaction', nameKeys(texts), () =>
      transactions.run(texts, toChanges(change, empty), options),
    );
  }

  /** Sets the state of `key` to the empty state, whatever is stored there. @returns the state after it. */
  async reset(key: KeyOf<R>, options: WriteOptions = {}): Promise<StateOf<R>> {
    const { state, duplicate } = await this.write('reset', key, { ...options, blind: true }, () => ({
      kind: 'write',
      state: this.reducer.empty(key),
    }));
    return (duplicate ? await this.read(key, options) : state) ?? this.reducer.empty(key);
  }

  /** Deletes the entry of `key`, also one that does not decode; its older revisions stay in the history. @returns whether there was one. */
  async delete(key: KeyRef<R>, options: WriteOptions = {}): Promise<boolean> {
    const { existed, duplicate } = await this.write('delete', key, { ...options, blind: true }, () => ({
      kind: 'remove',
      purge: false,
    }));
    return existed && !duplicate;
  }

  /** Deletes the entry of `key` with its history, also the history of one that was deleted before. @returns whether there was one. */
  async purge(key: KeyRef<R>, options: WriteOptions = {}): Promise<boolean> {
    const { existed, duplicate } = await this.write('purge', key, { ...options, blind: true }, () => ({
      kind: 'remove',
      purge: true,
    }));
    return existed && !duplicate;
  }

  /** The state of `key`; `undefined` when there is no entry. */
  async read(key: KeyRef<R>, options: ReadOptions = {}): Promise<StateOf<R> | undefined> {
    return (await this.readEntry(key, options))?.state;
  }

  /** The entry of `key` with its revision; `undefined` when there is none. */
  async readEntry(key: KeyRef<R>, options: ReadOptions = {}): Promise<StoreEntry<StateOf<R>> | undefined> {
    const storeKey = this.refOf(key);
    const { codec, reader } = this.parts;
    const { revision, data, created, schemaVersion } = await this.parts.observe('read', storeKey.text, () =>
      this.parts.untilAnswered(
        (leftMs) => reader.latest(storeKey.text, options.consistency, leftMs),
        () => `read of "${storeKey.text}"`,
        options.signal,
      ),
    );
    if (data === undefined) return undefined;
    return { key: storeKey, state: codec.decode(storeKey.text, { revision, schemaVersion }, data), revision, created };
  }

  /** The states of several keys, in their order, read at the same time; not a snapshot of one moment. */
  async readMany(keys: Iterable<KeyRef<R>>, options: ReadOptions = {}): Promise<(StateOf<R> | undefined)[]> {
    return Promise.all(Array.from(keys, (key) => this.read(key, options)));
  }

  /** The keys that have an entry, all or those of a pattern. A key written while it runs may come twice. */
  async *keys(pattern?: KeyPattern<KeyOf<R>>, options: ListOptions = {}): AsyncGenerator<StoreKey, void, undefined> {
    const listing = {
      pattern: this.patternOf(pattern),
      include: 'last',
      keysOnly: true,
      signal: options.signal,
    } as const;
    for await (const { key, revision } of listRevisions(this.parts.connection, this.parts.layout, listing)) {
      if (revision.data !== undefined) yield this.parts.keySpace.parse(key);
    }
  }

  /**
   * The entries, all or those of a pattern, fetched at the pace of the reader. An entry written while it runs may come twice,
   * the second time newer.
   *
   * @throws DecodeError at an entry whose bytes are not of the type, unless `onUndecodable` takes it.
   */
  async *entries(
    pattern?: KeyPattern<KeyOf<R>>,
    options: ListOptions & { readonly onUndecodable?: (key: StoreKey, error: Error) => void } = {},
  ): AsyncGenerator<StoreEntry<StateOf<R>>, void, undefined> {
    const listing = {
      pattern: this.patternOf(pattern),
      include: 'last',
      keysOnly: false,
      signal: options.signal,
    } as const;
    for await (const { key, revision } of listRevisions(this.parts.connection, this.parts.layout, listing)) {
      const event = toEvent(this.parts, key, revision, false);
      if (event.type === 'value') yield event;
      if (event.type !== 'undecodable') continue;
      if (options.onUndecodable === undefined) throw event.error;
      options.onUndecodable(event.key, event.error);
    }
  }

  /**
   * The revisions of `key` that the bucket keeps, oldest first, deletions included.
   *
   * @throws CancelledError when `signal` aborts.
   */
  async history(key: KeyRef<R>, options: Pick<ReadOptions, 'signal'> = {}): Promise<KeyEvent<StateOf<R>>[]> {
    return readHistory(this.parts, this.refOf(key).text, options.signal);
  }

  /**
   * Follows the keys of a pattern, or all: first what is there, then `caught-up`, then every change. Goes on over
   * reconnects and server restarts without missing the latest revision of a key and without telling one twice or an older
   * one later. A reader that is far behind sees only the newest revision of each key, on either side of `caught-up`; from
   * the history it misses only what the bucket does not keep as long. Starts when iteration starts; ends when it is left, and
   * without an error when `signal` aborts or the application stops, also while it waits for the server to start. Watches of
   * a pattern share a consumer (not those from the history). Each is told what is there when it starts, at its own pace.
   *
   * @throws ConnectionError when the server stays away for 30 seconds at the start, or the connection is closed;
   * JetStreamRequestError when the server refuses.
   */
  watch(
    pattern?: KeyPattern<KeyOf<R>> | StoreKey,
    options: WatchOptions = {},
  ): AsyncGenerator<WatchEvent<StateOf<R>>, void, undefined> {
    return watchEvents(this.parts, pattern instanceof StoreKey ? pattern.text : this.patternOf(pattern), options);
  }

  /**
   * The events of {@link watch} as an Observable. Each subscription is a watch of its own; it completes where the
   * iteration ends. Unsubscribing leaves nothing behind on the server.
   */
  observe(pattern?: KeyPattern<KeyOf<R>> | StoreKey, options: WatchOptions = {}): Observable<WatchEvent<StateOf<R>>> {
    return toObservable((signal) => this.watch(pattern, { ...options, signal }), options.signal, this.parts.log);
  }

  /** What the bucket holds. */
  async status(): Promise<BucketStatus> {
    const { num_subjects: keys = 0, bytes, last_seq: lastRevision } = await this.parts.admin.state();
    return { bucket: this.bucket, keys, bytes, lastRevision };
  }

  /**
   * Deletes the bucket with everything in it. The store cannot be used afterwards, in any process, until it is provisioned
   * anew. Other processes are told of it by the server, a moment later; let none of them write until then.
   */
  async deleteBucket(): Promise<void> {
    await this.parts.admin.deleteBucket();
    this.parts.remembered.forgetAll();
  }

  /** Ends watches, takes no more operations, and resolves when those under way have ended. */
  async close(): Promise<void> {
    await this.parts.close();
  }

  /** @internal For the library's own objects: {@link modify} with all that is known of the outcome. */
  write(
    name: string,
    key: KeyRef<R>,
    options: OperationOptions,
    change: ChangeFunction<StateOf<R>>,
  ): Promise<OperationResult<StateOf<R>>> {
    return this.operate(name, key, options, change, wholeResult);
  }

  /** @param answer what the caller gets; without a promise of its own: these are the operations that come by the thousand. */
  private operate<Answer>(
    name: string,
    key: KeyRef<R>,
    options: OperationOptions,
    change: ChangeFunction<StateOf<R>>,
    answer: (result: OperationResult<StateOf<R>>) => Answer,
  ): Promise<Answer> {
    try {
      const { queue } = this.parts;
      const text = this.textOf(key);
      if (!this.parts.isObserved) return queue.run(name, text, change, options, answer);
      return this.parts.observe(name, text, () => queue.run(name, text, change, options, answer));
    } catch (error) {
      // As from an async function, which this is in all but its cost: what was thrown reaches the caller as it is.
      return new Promise(() => {
        throw error;
      });
    }
  }

  /** The key as it is stored. */
  private textOf(key: KeyRef<R>): string {
    return key instanceof StoreKey ? key.text : this.parts.keySpace.textOf(this.reducer.key(key));
  }

  private refOf(key: KeyRef<R>): StoreKey {
    return key instanceof StoreKey ? key : this.parts.keySpace.keyOf(this.reducer.key(key));
  }

  private patternOf(pattern: KeyPattern<KeyOf<R>> | undefined): string {
    if (pattern === undefined) return this.parts.keySpace.all;
    // Wildcards stand where parameters stand; the reducer's key() only puts them into place.
    return this.parts.keySpace.patternOf(this.reducer.key(pattern as KeyOf<R>));
  }
}

const NO_OPTIONS: WriteOptions = {};
const EXISTS = { exists: true } as const;
const IS_NEW = { exists: false } as const;

function wholeResult<State>(result: OperationResult<State>): OperationResult<State> {
  return result;
}
