import type { NatsConnection, Status } from '@nats-io/transport-node';
import type { Log } from '../common/log.js';

/** Where a connection stands. `closed` is final. */
export type ConnectionStatus = 'connected' | 'disconnected' | 'closed';

/** What a monitor does beside watching. */
export interface ConnectionMonitorOptions {
  /** How the connection is called in the log. */
  readonly name: string;
  /** The connection is the application's own: say what happens, never steer it. */
  readonly foreign: boolean;
}

/**
 * Watches one connection: tells transitions, each once, to the log and to its listeners, in the order they
 * registered. The client may report one loss several times; the monitor does not.
 */
export class ConnectionMonitor {
  readonly #nats: NatsConnection;
  readonly #log: Log;
  readonly #options: ConnectionMonitorOptions;
  readonly #statuses: AsyncIterable<Status>;
  readonly #statusListeners = new Set<(status: ConnectionStatus) => void>();
  readonly #errorListeners = new Set<(error: Error) => void>();
  /** Server errors said since the last transition; a refused reconnect repeats itself every few seconds. */
  readonly #said = new Set<string>();
  #status: ConnectionStatus;
  #disconnects = 0;
  #lostAt = 0;
  #closing = false;

  constructor(nats: NatsConnection, log: Log, options: ConnectionMonitorOptions) {
    this.#nats = nats;
    this.#log = log;
    this.#options = options;
    this.#status = nats.isClosed() ? 'closed' : nats.info === undefined ? 'disconnected' : 'connected';
    this.#statuses = nats.status();
    void this.#watch();
    void nats.closed().then((reason) => this.#onClosed(reason ?? undefined));
  }

  /** The status of the last transition. */
  get status(): ConnectionStatus {
    return this.#status;
  }

  /** How often the connection was lost since it was made. */
  get disconnects(): number {
    return this.#disconnects;
  }

  /** Calls `listener` after every transition. @returns a function that ends it. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  /** Calls `listener` with every error the server sends outside a reply. @returns a function that ends it. */
  onServerError(listener: (error: Error) => void): () => void {
    this.#errorListeners.add(listener);
    return () => this.#errorListeners.delete(listener);
  }

  /** From now on a closed connection is intended. */
  expectClose(): void {
    this.#closing = true;
  }

  /** Ends the watching, for a connection that goes on without us. */
  stop(): void {
    this.#closing = true;
    if (isStoppable(this.#statuses)) this.#statuses.stop();
    this.#transition('closed');
  }

  async #watch(): Promise<void> {
    for await (const status of this.#statuses) {
      if (this.#status === 'closed') return;
      this.#onEvent(status);
    }
  }

  #onEvent(event: Status): void {
    const { name } = this.#options;
    switch (event.type) {
      case 'disconnect':
        if (this.#status !== 'connected') return;
        this.#lostAt = performance.now();
        this.#disconnects++;
        if (!this.#closing)
          this.#log.warn(
            `Connection "${name}" to NATS at ${event.server} lost; reconnecting. Publishes wait up to their timeout.`,
          );
        return this.#transition('disconnected');
      case 'reconnect': {
        if (this.#status !== 'disconnected') return;
        const seconds = ((performance.now() - this.#lostAt) / 1000).toFixed(1);
        this.#log.log(
          `Connection "${name}" is back after ${seconds} s: NATS at ${event.server}, nats-server ${this.#nats.info?.version ?? 'of unknown version'}.`,
        );
        return this.#transition('connected');
      }
      case 'error':
        return this.#onServerError(event.error);
      case 'staleConnection':
        return this.#log.warn(`Connection "${name}": the server does not answer pings; connecting anew.`);
      case 'ldm':
        return this.#onLameDuck(event.server);
      default:
        return;
    }
  }

  /** A server in lame duck mode stops serving JetStream before it cuts its clients: leave it, when there is another. */
  #onLameDuck(server: string): void {
    const { name, foreign } = this.#options;
    const leave = !foreign && !this.#closing && this.#nats.getServers().length > 1;
    const next = leave ? 'moving to another one' : 'the client reconnects when it is gone';
    this.#log.warn(`Connection "${name}": the server at ${server} is about to shut down; ${next}.`);
    if (!leave) return;
    this.#nats.reconnect().catch((error: unknown) => {
      this.#log.warn(`Connection "${name}" could not leave the server at ${server}: ${String(error)}`);
    });
  }

  #onServerError(error: Error): void {
    const { name } = this.#options;
    if (!this.#said.has(error.message)) {
      this.#said.add(error.message);
      this.#log.error(`Connection "${name}": the server says: ${error.message}`);
    }
    for (const listener of this.#errorListeners) listener(error);
  }

  #onClosed(reason: Error | undefined): void {
    if (this.#status === 'closed') return;
    const { name } = this.#options;
    if (this.#closing) this.#log.log(`Connection "${name}" to NATS closed.`);
    else
      this.#log.error(
        `Connection "${name}" to NATS is closed for good${reason ? `: ${reason.message}` : ''}. Restart the application.`,
      );
    this.#transition('closed');
  }

  #transition(status: ConnectionStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#said.clear();
    for (const listener of this.#statusListeners) {
      try {
        listener(status);
      } catch (error) {
        const stack = error instanceof Error ? error.stack : undefined;
        this.#log.error(`Connection "${this.#options.name}": a status listener failed: ${String(error)}`, stack);
      }
    }
  }
}

/** The client's iterator can be ended, which its type does not say; left alone it ends at its next event only. */
function isStoppable(iterable: object): iterable is { stop(): void } {
  return 'stop' in iterable && typeof iterable.stop === 'function';
}
