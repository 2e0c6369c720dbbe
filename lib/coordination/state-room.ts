import type { MessageSchema } from '../codec/message-schema.js';
import { CancelledError, ConnectionError, type FlowError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { coordinationBucket, type CoordinationKind } from '../common/names.js';
import { fullJitter } from '../store/engine/full-jitter.js';
import type { AnyKvReducer, KvReducer, StateOf } from '../store/engine/kv-reducer.js';
import type { ObjectStore } from '../store/engine/object-store.js';
import { orAborted } from '../store/engine/or-aborted.js';
import type { StoreEntry } from '../store/engine/store-entry.js';
import { KeySpace, type StoreKey } from '../store/engine/store-key.js';
import type { CoordinationRoom } from './coordination-room.js';
import { ExpiryAlarm } from './expiry-alarm.js';
import { firstAbort } from './first-abort.js';
import { lazily } from './lazily.js';
import { ObservedWaits } from './observed-waits.js';
import { untilDecided, type Condition, type Outcome } from './wait-condition.js';

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

/** Pauses between looks at a state that events say is another: a replica may be far behind. */
const LOOKS = { initialMs: 10, maxMs: 1_000 } as const;

/** The state of one primitive: its bucket is made at the first use. */
export class StateRoom<R extends KvReducer<StateOf<R>, never, never> & AnyKvReducer> {
  /** For errors: `WaitGroup "import"`. */
  readonly what: string;
  private readonly opened: () => Promise<ObjectStore<R>>;
  private readonly waits: ObservedWaits;
  private readonly closing = new AbortController();

  constructor(
    private readonly room: CoordinationRoom,
    private readonly parts: StateKind<R>,
  ) {
    const { kind, name, title, reducer, schema, ttlMs } = parts;
    const what = `${title} "${name}"`;
    this.what = what;
    this.waits = new ObservedWaits(room.environment, title, name);
    const bucket = coordinationBucket(kind, name);
    const description = `${what} of nestjs-jetstream-flow`;
    const options = { bucket, schema, description, remember: REMEMBER, ...(ttlMs !== undefined && { ttl: ttlMs }) };
    this.opened = lazily(() => room.openStore(reducer, options));
  }

  /** The store, made when it is first needed. @throws CancelledError when `signal` aborts meanwhile, ConnectionError when this is closed. */
  async open(signal?: AbortSignal): Promise<ObjectStore<R>> {
    if (this.closed.aborted) throw new ConnectionError(`${this.what} is closed.`);
    return orAborted(this.opened(), `opening of ${this.what}`, signal);
  }

  get log(): Log {
    return this.room.log;
  }

  /** Aborts when it is closed. */
  get closed(): AbortSignal {
    return this.closing.signal;
  }

  /** It is closed, or the application stops. */
  get isEnding(): boolean {
    return this.closed.aborted || this.room.stopping.aborted;
  }

  /** For errors: `WaitGroup "import", key "17"`. */
  nameOf(key: string): string {
    return `${this.what}, key "${key}"`;
  }

  /**
   * Resolves as soon as the condition holds for the state of `key`, told by a watch; when the key is forgotten, by another look.
   *
   * @returns whether it holds; `false`: it is lost.
   * @throws CancelledError when `signal` aborts, ConnectionError when this is closed or the application stops.
   */
  waitUntil(key: string, condition: Condition<StateOf<R>>, signal?: AbortSignal): Promise<boolean> {
    return this.waits.observe(key, () => this.watchUntil(key, condition, signal));
  }

  private async watchUntil(key: string, condition: Condition<StateOf<R>>, signal?: AbortSignal): Promise<boolean> {
    const storeKey = new KeySpace(undefined).keyOf(key);
    using ends = firstAbort([signal, this.closing.signal, this.room.stopping]);
    const pause = fullJitter(LOOKS, ends.signal);
    // Once the application stops it is looked at all the same, as everything else is asked for.
    const asking = (): AbortSignal | undefined => (ends.signal.aborted ? signal : ends.signal);
    try {
      const store = await this.open(asking());
      for (;;) {
        const reading = asking();
        const entry = await store.readEntry(storeKey, reading === undefined ? {} : { signal: reading });
        if (condition.isDone(entry?.state)) return true;
        if (condition.isLost?.(entry?.state) === true) return false;
        // Leaving a watch takes an answer of the server, which may be silent: that goes on behind.
        const following = this.follow(store, storeKey, condition, entry, ends.signal);
        const outcome = await orAborted(following, `wait for ${this.nameOf(key)}`, ends.signal);
        if (outcome === 'done') return true;
        if (outcome === 'ended') throw this.whyEnded(key, signal);
        await pause();
      }
    } catch (error) {
      throw error instanceof CancelledError && ends.signal.aborted ? this.whyEnded(key, signal) : error;
    }
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

  private async follow(
    store: ObjectStore<R>,
    key: StoreKey,
    condition: Condition<StateOf<R>>,
    entry: StoreEntry<StateOf<R>> | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const look = new AbortController();
    using expiry = this.alarm(() => look.abort());
    using either = firstAbort([signal, look.signal]);
    if (entry !== undefined) expiry?.set(entry.created);
    const events = store.watch(key, { signal: either.signal });
    const outcome = await untilDecided(events, entry, condition, (created) => expiry?.set(created));
    return outcome === 'ended' && look.signal.aborted ? 'look' : outcome;
  }

  private alarm(wake: () => void): ExpiryAlarm | undefined {
    const { ttlMs } = this.parts;
    return ttlMs === undefined ? undefined : new ExpiryAlarm(ttlMs, this.room.eventualClock, wake);
  }

  private whyEnded(key: string, signal: AbortSignal | undefined): FlowError {
    const what = `Waiting for ${this.nameOf(key)}`;
    if (signal?.aborted === true) return new CancelledError(what, { cause: signal.reason });
    if (this.room.stopping.aborted) return new ConnectionError(`${what}: the application stops.`);
    return new ConnectionError(`${what}: it was closed.`);
  }
}
