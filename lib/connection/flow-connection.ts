import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { ConnectionError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import type { ConnectionMonitor, ConnectionStatus } from './connection-monitor.js';
import {
  resolveConnectionOptions,
  type ConnectionOptions,
  type ResolvedConnectionOptions,
} from './connection.options.js';
import { openConnection } from './open-connection.js';
import { Publisher } from './publisher.js';
import { ServerCapabilities } from './server-capabilities.js';
import { within } from './within.js';

/** However late it is: what was handed to the client is sent. */
const LEAST_CLOSING_MS = 100;

/** How a connection fares, for health checks. */
export interface ConnectionHealth {
  /** Connected, and JetStream answers. */
  readonly healthy: boolean;
  /** Why not. */
  readonly problem?: string;
  readonly status: ConnectionStatus;
  /** `host:port` of the server connected to, or connected to last. */
  readonly server: string;
  readonly serverVersion: string;
  /** Round trip to the server. */
  readonly rttMs?: number;
  /** Times the connection was lost since it was made. */
  readonly disconnects: number;
  readonly publishesInFlight: number;
}

/**
 * One connection to NATS with what the library needs of it. Reconnects by itself; nothing here is static, so one
 * process may hold several.
 */
export class FlowConnection implements AsyncDisposable {
  readonly #options: ResolvedConnectionOptions;
  readonly #monitor: ConnectionMonitor;
  readonly #log: Log;
  #capabilities: ServerCapabilities;
  #closing: Promise<void> | undefined;
  readonly #waitsEnd = new AbortController();

  /** The client's connection. */
  readonly nats: NatsConnection;
  /** JetStream's management API, in the domain of the options. */
  readonly manager: JetStreamManager;
  /** The publish path. */
  readonly publisher: Publisher;

  private constructor(
    nats: NatsConnection,
    manager: JetStreamManager,
    monitor: ConnectionMonitor,
    options: ResolvedConnectionOptions,
    log: Log,
  ) {
    this.nats = nats;
    this.manager = manager;
    this.#options = options;
    this.#monitor = monitor;
    this.#log = log;
    this.#capabilities = new ServerCapabilities(nats.info?.version ?? '0.0.0');
    this.publisher = new Publisher(nats, monitor, options);
    monitor.onStatus((status) => {
      const version = nats.info?.version;
      if (status !== 'connected' || version === undefined || version === this.#capabilities.version) return;
      this.#capabilities = new ServerCapabilities(version);
      log.log(`Connection "${options.name}": ${this.#capabilities.describe()}.`);
    });
  }

  /**
   * Connects and makes sure JetStream answers. `signal` ends the wait for an absent server.
   *
   * @throws ConfigurationError when the options have problems, all of them at once.
   * @throws ConnectionError when the server is absent and `whenAbsent` is `'fail'` or `waitAtMost` is over, and in
   * any case at once when it refuses the authentication, the TLS handshake fails, or the account has no JetStream.
   */
  static async connect(options: ConnectionOptions, log: Log, signal?: AbortSignal): Promise<FlowConnection> {
    const resolved = resolveConnectionOptions(options);
    const { nats, monitor } = await openConnection(resolved, log, signal);
    const manager = await jetstreamManager(nats, {
      checkAPI: false,
      timeout: resolved.requestTimeout,
      ...(resolved.domain !== undefined && { domain: resolved.domain }),
    });
    return new FlowConnection(nats, manager, monitor, resolved, log);
  }

  /** What the server connected to can do; looked at anew after every reconnect. */
  get capabilities(): ServerCapabilities {
    return this.#capabilities;
  }

  /** Where the connection stands. */
  get status(): ConnectionStatus {
    return this.#monitor.status;
  }

  /** Name of the connection, as in the options. */
  get name(): string {
    return this.#options.name;
  }

  /** First tokens of JetStream's API subjects, in the domain of the options, without a dot at the end. */
  get apiPrefix(): string {
    return this.#options.domain === undefined ? '$JS.API' : `$JS.${this.#options.domain}.API`;
  }

  /** First token of reply subjects. */
  get inboxPrefix(): string {
    return this.#options.inboxPrefix ?? '_INBOX';
  }

  /** How long a request to JetStream's API may take. */
  get requestTimeoutMs(): number {
    return this.#options.requestTimeout;
  }

  /** Aborts when the application stops, for whoever waits for what may never come; its reason is a `ConnectionError`. */
  get stopping(): AbortSignal {
    return this.#waitsEnd.signal;
  }

  /** @internal The steps have drained: requests that wait must not keep the shutdown any longer. */
  stopWaiting(): void {
    if (!this.stopping.aborted)
      this.#waitsEnd.abort(
        new ConnectionError(`Connection "${this.name}": the application stops, nothing waits any more.`),
      );
  }

  /** Calls `listener` after every transition, in order. @returns a function that ends it. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    return this.#monitor.onStatus(listener);
  }

  /** Milliseconds of a round trip to the server. @throws ConnectionError when there is none within `requestTimeout`. */
  async ping(): Promise<number> {
    const started = performance.now();
    await this.flush();
    return performance.now() - started;
  }

  /** Resolves when the server has read everything sent before. @throws ConnectionError when it does not within `requestTimeout`. */
  async flush(): Promise<void> {
    if (this.status !== 'connected') throw new ConnectionError(`Connection "${this.name}" is ${this.status}.`);
    const what = `Connection "${this.name}": a round trip to the server`;
    try {
      await within(this.#options.requestTimeout, what, this.nats.flush());
    } catch (error) {
      throw error instanceof ConnectionError ? error : new ConnectionError(`${what} failed.`, { cause: error });
    }
  }

  /** How the connection fares. Never rejects. */
  async health(): Promise<ConnectionHealth> {
    const facts = {
      status: this.status,
      server: this.nats.getServer(),
      serverVersion: this.capabilities.version,
      disconnects: this.#monitor.disconnects,
      publishesInFlight: this.publisher.inFlight,
    };
    try {
      const rttMs = await this.ping();
      await this.manager.getAccountInfo();
      return { healthy: true, ...facts, rttMs };
    } catch (error) {
      return { healthy: false, problem: error instanceof Error ? error.message : String(error), ...facts };
    }
  }

  /**
   * Lets the publishes under way end, then closes. An application's own connection stays open and loses
   * only what we subscribed. May be called several times.
   *
   * @param timeoutMs how long publishes under way may take, and then the server to read what was sent; publishes that
   * have not ended by then fail with a `ConnectionError`. A tenth of a second is the least.
   * @default no bound but the publishes' own, and `requestTimeout`
   */
  close(timeoutMs = Infinity): Promise<void> {
    this.stopWaiting();
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    const left = (): number => Math.max(LEAST_CLOSING_MS, end - performance.now());
    const drained = this.publisher.drain();
    const impatience = Number.isFinite(end) ? setTimeout(() => this.publisher.stop(), left()) : undefined;
    await drained;
    clearTimeout(impatience);
    this.publisher.stop();
    if (this.#options.connection === undefined) await this.#closeOwn(Math.min(this.#options.requestTimeout, left()));
    else this.#monitor.stop();
  }

  async #closeOwn(timeoutMs: number): Promise<void> {
    this.#monitor.expectClose();
    if (this.nats.isClosed()) return;
    // The client's drain waits for the server, for ever when there is none.
    if (this.status === 'connected') {
      try {
        await within(timeoutMs, `Draining connection "${this.name}"`, this.nats.drain());
        return;
      } catch (error) {
        this.#log.warn(`Connection "${this.name}" is closed without draining: ${String(error)}`);
      }
    }
    await this.nats.close();
  }
}
