import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { ConnectionError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import type { FlowConnection } from '../connection/flow-connection.js';
import { createObjectStore, type StoreInternals } from '../store/engine/create-object-store.js';
import { fullJitter } from '../store/engine/full-jitter.js';
import type { KvObjectDefaults, KvObjectOptions } from '../store/engine/kv-object.options.js';
import type { AnyKvReducer, StateOf } from '../store/engine/kv-reducer.js';
import type { ObjectStore } from '../store/engine/object-store.js';
import type { FlowMeter } from '../telemetry/metrics.js';
import type { FlowTracer } from '../telemetry/tracer.js';
import type { ProvisionMode } from '../stream/provision-mode.js';
import { EventualClock } from './clock/eventual-clock.js';
import { ServerClock } from './clock/server-clock.js';
import { lazily } from './lazily.js';

/** Pauses between attempts to measure the clock. */
const CLOCK_PAUSES = { initialMs: 500, maxMs: 60_000 } as const;

/** What coordination needs of the application around it. */
export interface CoordinationEnvironment {
  readonly connection: FlowConnection;
  readonly mode: ProvisionMode;
  readonly log: Log;
  readonly tracer: FlowTracer;
  readonly meter: FlowMeter;
  readonly defaults: KvObjectDefaults;
}

/** What is kept in a bucket. */
interface Store {
  readonly bucket: string;
  /** Resolves when what is under way has ended. */
  close(): Promise<void>;
}

/** What the primitives of one connection share. Close it before the connection, and what stands in it before that. */
export class CoordinationRoom {
  private readonly stores: Store[] = [];
  private readonly users: Store[] = [];
  private readonly waitsEnd = new AbortController();
  private readonly closing = new AbortController();
  private started: ServerClock | undefined;

  /** Aborts when the application stops: for whoever waits for what may never come. What is held stays held. */
  readonly stopping: AbortSignal = this.waitsEnd.signal;

  /** Name of this process, for people who look at what is stored. */
  readonly owner = `${hostname()}:${process.pid}`;

  constructor(readonly environment: CoordinationEnvironment) {
    // Everything that waits listens; Node would take more than ten for a leak.
    setMaxListeners(0, this.stopping);
    const { signal } = this.closing;
    this.eventualClock = new EventualClock(this.clock, fullJitter(CLOCK_PAUSES, signal), signal, environment.log);
  }

  get log(): Log {
    return this.environment.log;
  }

  /** The server's clock, measured at the first call. */
  readonly clock = lazily(async () => {
    const { connection, mode, log, defaults } = this.environment;
    const { storage, replicas } = defaults;
    const clock = await ServerClock.start(connection, { mode, log, storage, replicas });
    if (this.closing.signal.aborted) clock.close();
    return (this.started = clock);
  });

  /** The same, for whoever can do without it until it is measured. */
  readonly eventualClock: EventualClock;

  /**
   * Provisions a bucket and makes a store of it; `internals` as in {@link createObjectStore}.
   *
   * @throws ConnectionError when this is closed meanwhile.
   */
  async openStore<R extends AnyKvReducer>(
    reducer: R,
    options: KvObjectOptions,
    internals: StoreInternals<StateOf<R>> = {},
  ): Promise<ObjectStore<R>> {
    const { connection, ...environment } = this.environment;
    const store = await createObjectStore(connection, reducer, options, environment, internals);
    return this.keep(store, this.stores);
  }

  /** Closes what stands on a store with this, before any store. @throws ConnectionError when this is closed meanwhile. */
  keepUser<S extends Store>(user: S): Promise<S> {
    return this.keep(user, this.users);
  }

  private async keep<S extends Store>(store: S, among: Store[]): Promise<S> {
    if (this.closing.signal.aborted) {
      await store.close();
      throw new ConnectionError(`The application stops: bucket "${store.bucket}" is not used any more.`);
    }
    among.push(store);
    return store;
  }

  /** Ends what waits, and lets nothing wait any more. */
  stopWaiting(): void {
    if (this.stopping.aborted) return;
    this.waitsEnd.abort(new ConnectionError('The application stops: nothing waits any more.'));
  }

  /** Resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.closing.abort();
    this.started?.close();
    await Promise.all(this.users.map((user) => user.close()));
    await Promise.all(this.stores.map((store) => store.close()));
  }
}
