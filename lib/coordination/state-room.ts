import type { MessageSchema } from '../codec/message-schema.js';
import { CancelledError, ConnectionError } from '../common/errors.js';
import { coordinationBucket, type CoordinationKind } from '../common/names.js';
import type { AnyKvReducer, KvReducer, StateOf } from '../store/engine/kv-reducer.js';
import type { ObjectStore } from '../store/engine/object-store.js';
import { KeySpace } from '../store/engine/store-key.js';
import type { CoordinationRoom } from './coordination-room.js';
import { firstAbort } from './first-abort.js';
import { lazily } from './lazily.js';
import { ObservedWaits } from './observed-waits.js';

/** What one primitive keeps in its bucket. */
export interface StateKind<R extends AnyKvReducer> {
  readonly kind: CoordinationKind;
  readonly name: string;
  /** For errors and telemetry: `WaitGroup`. */
  readonly title: string;
  readonly reducer: R;
  readonly schema: MessageSchema;
  /** After which a key that nobody changes is forgotten; `undefined`: never. */
  readonly ttlMs: number | undefined;
}

/** Work is repeated by whoever finds it undone, which may be long after. */
const REMEMBER = { count: 2_048, age: '24h' } as const;

/** The state of one primitive: its bucket is made at the first use. */
export class StateRoom<R extends KvReducer<StateOf<R>, never, never> & AnyKvReducer> {
  /** For errors: `WaitGroup "import"`. */
  readonly what: string;
  /** The store, made when it is first needed. */
  readonly open: () => Promise<ObjectStore<R>>;
  private readonly waits: ObservedWaits;
  private readonly closing = new AbortController();
  private readonly stopping: AbortSignal;

  constructor(room: CoordinationRoom, { kind, name, title, reducer, schema, ttlMs }: StateKind<R>) {
    const what = `${title} "${name}"`;
    this.what = what;
    this.waits = new ObservedWaits(room.environment, title, name);
    this.stopping = room.stopping;
    const bucket = coordinationBucket(kind, name);
    const description = `${what} of nestjs-jetstream-flow`;
    const options = { bucket, schema, description, remember: REMEMBER, ...(ttlMs !== undefined && { ttl: ttlMs }) };
    const open = lazily(() => room.openStore(reducer, options));
    this.open = () => {
      if (this.closing.signal.aborted) throw new ConnectionError(`${what} is closed.`);
      return open();
    };
  }

  /** For errors: `WaitGroup "import", key "17"`. */
  nameOf(key: string): string {
    return `${this.what}, key "${key}"`;
  }

  /**
   * Resolves as soon as `isDone` holds for the state of `key` (`undefined`: there is none), told by a watch.
   *
   * @throws CancelledError when `signal` aborts, ConnectionError when this is closed or the application stops.
   */
  waitUntil(key: string, isDone: (state: StateOf<R> | undefined) => boolean, signal?: AbortSignal): Promise<void> {
    return this.waits.observe(key, () => this.watchUntil(key, isDone, signal));
  }

  private async watchUntil(
    key: string,
    isDone: (state: StateOf<R> | undefined) => boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const store = await this.open();
    const storeKey = new KeySpace(undefined).keyOf(key);
    const what = `Waiting for ${this.nameOf(key)}`;
    const options = signal === undefined ? {} : { signal };
    if (isDone(await store.read(storeKey, options))) return;
    using either = firstAbort([signal, this.closing.signal, this.stopping]);
    let exists = false;
    for await (const event of store.watch(storeKey, { signal: either.signal })) {
      if (event.type === 'undecodable') throw event.error;
      if (event.type === 'value') exists = true;
      // Between the read and the watch the entry may have gone.
      else if (event.type === 'caught-up' && exists) continue;
      if (isDone(event.type === 'value' ? event.state : undefined)) return;
    }
    if (signal?.aborted === true) throw new CancelledError(what, { cause: signal.reason });
    if (this.stopping.aborted) throw new ConnectionError(`${what}: the application stops.`);
    throw new ConnectionError(`${what}: it was closed.`);
  }

  /** Makes sure that the server has the bucket. */
  async ready(): Promise<void> {
    await this.open();
  }

  /** Ends waits, and takes no more. What is under way ends with the room. */
  close(): Promise<void> {
    this.closing.abort();
    return Promise.resolve();
  }
}
