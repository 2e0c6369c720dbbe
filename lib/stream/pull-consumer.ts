import { ConfigurationError, ConnectionError, FlowError } from '../common/errors.js';
import { lookForConsumer } from './consumer-lookup.js';
import type { Delivery } from './delivery.js';
import { toFlowError } from './jetstream-api.js';
import type { PullConsumerOptions } from './pull-consumer.options.js';
import { PullSession, type PullTiming } from './pull-session.js';
import type { PullStatus } from './pull-status.js';
import { Recovery } from './recovery.js';
import type { StreamConnection } from './stream-connection.js';

export type { PullConsumerOptions } from './pull-consumer.options.js';

const DEFAULT_EXPIRES_MS = 30_000;
/** How long a request stands on a server where stopping has to wait for its end. */
const SHORT_EXPIRES_MS = 500;
const MAX_HEARTBEAT_MS = 5_000;
const MIN_WATCH_MS = 2_000;
const MISSED_HEARTBEATS = 2;
const THROWN_DELAY_MS = 1_000;

/**
 * Takes messages from a durable pull consumer, as many as there is room for and never more: what is asked
 * of the server and what is in hand together stay within `maxInFlight`. (The server reads acknowledgements and
 * requests from two queues: for a moment it may count messages as unacknowledged that are done already.)
 *
 * It survives what happens to connections and servers: after a reconnect it asks again at once; when the
 * server falls silent, changes its leader or does not know the consumer, it looks, lets `recreate` make the
 * consumer, and goes on, with growing pauses of up to 5 s.
 */
export class PullConsumer {
  readonly #connection: StreamConnection;
  readonly #options: PullConsumerOptions;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #paused = false;
  #inHand = 0;
  #session: PullSession | undefined;
  #timing: PullTiming;
  #maxBatch = Number.POSITIVE_INFINITY;
  #pumpScheduled = false;
  #silentTicks = 0;
  #reported: string | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #unlisten: (() => void) | undefined;
  readonly #recovery: Recovery;
  readonly #closing = new Map<PullSession, Promise<void>>();

  constructor(connection: StreamConnection, options: PullConsumerOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#timing = timingFor(options.expiresMs ?? DEFAULT_EXPIRES_MS);
    this.#recovery = new Recovery({
      wanted: () => this.#wanted,
      attempt: (signal) => this.#look(signal),
      onFailure: (error) => this.#report(toFlowError(`look for ${this.#name}`, error)),
      onEnd: () => this.#open(),
    });
  }

  /** Messages asked of the server that have not arrived. */
  get outstanding(): number {
    return this.#session?.outstanding ?? 0;
  }

  /** Deliveries handed to `onMessage` and not released. */
  get inFlight(): number {
    return this.#inHand;
  }

  /**
   * Begins to consume. Resolves when the consumer was found and the first messages are asked for.
   *
   * @throws NotFoundError when there is no such consumer and no `recreate`.
   * @throws ConfigurationError when it is a push consumer.
   */
  async start(): Promise<void> {
    if (this.#state !== 'new') throw new ConfigurationError(this.#name, ['was started before; make a new one']);
    this.#state = 'running';
    try {
      await this.#look();
    } catch (error) {
      this.#state = 'stopped';
      throw error;
    }
    if (this.#stopped) return;
    this.#unlisten = this.#connection.onStatus((status) => this.#connectionChanged(status));
    const watchMs = Math.max(MIN_WATCH_MS, this.#timing.heartbeatMs);
    this.#watchdog = setInterval(() => this.#checkHeartbeats(), watchMs).unref();
    this.#open();
  }

  /** One delivery is done with: its place is free for another message. */
  release(): void {
    if (this.#inHand > 0) this.#inHand--;
    this.#pump();
  }

  /** Asks for nothing more, and hands back what is on its way. Deliveries in hand are not touched. */
  pause(): void {
    this.#paused = true;
    this.#close();
  }

  /** Undoes {@link pause}. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#open();
  }

  /**
   * Ends consuming: requests are withdrawn, messages on their way go back for others to take at once (which
   * counts as one of their deliveries). On a server before 2.10.16 this takes up to half a second.
   * Resolves when nothing can arrive any more; deliveries in hand stay with whoever has them. Idempotent.
   */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#unlisten?.();
    clearInterval(this.#watchdog);
    this.#close();
    await this.#recovery.settle();
    await Promise.all(this.#closing.values());
  }

  get #name(): string {
    return `Consumer "${this.#options.consumer}" of stream "${this.#options.stream}"`;
  }

  /** A getter, because the compiler takes a field for unchanged over an await. */
  get #stopped(): boolean {
    return this.#state === 'stopped';
  }

  get #wanted(): boolean {
    return this.#state === 'running' && !this.#paused && this.#connection.status === 'connected';
  }

  #open(): void {
    // A session on its way out may still be sent messages: together with it the bound would not hold.
    const busy = this.#session !== undefined || this.#closing.size > 0 || this.#recovery.running;
    if (!this.#wanted || busy) return;
    const session: PullSession = new PullSession(this.#connection, this.#options.stream, this.#options.consumer, {
      onDelivery: (delivery) => this.#deliver(delivery),
      onStatus: (status) => this.#statusArrived(status),
      onFailure: (error) => {
        this.#report(error);
        this.#heal();
      },
    });
    this.#session = session;
    this.#silentTicks = -1; // the first tick may come right away
    this.#pump();
  }

  /** Lets go of the session; what still arrives for it is handed back in the background. */
  #close(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    const closing = session
      .close()
      .catch((error: unknown) => this.#report(toFlowError(`hand messages of ${this.#name} back`, error)))
      .finally(() => {
        this.#closing.delete(session);
        this.#open();
      });
    this.#closing.set(session, closing);
  }

  #deliver(delivery: Delivery): void {
    if (this.#inHand >= this.#options.maxInFlight) {
      delivery.nak(0); // the server sent more than was asked for: the bound is ours to keep
      return;
    }
    this.#inHand++;
    this.#recovery.succeeded();
    try {
      this.#options.onMessage(delivery);
    } catch (error) {
      // It must not reach the client's parser, which would drop the connection's other messages.
      this.#options.onError(
        new FlowError('CONSUMER', `${this.#name}: onMessage threw; the message is handed back.`, { cause: error }),
      );
      delivery.nak(THROWN_DELAY_MS);
      this.release();
    }
    this.#pump();
  }

  /**
   * Asks for all free places once they are at least as many as are asked for already. So a fast handler has
   * half of its places underway while it empties the other half, and a slow one never has more than
   * log2(maxInFlight) small requests standing.
   */
  #pump(): void {
    const free = this.#free;
    if (free === 0 || this.#pumpScheduled) return;
    if (free * 2 >= this.#options.maxInFlight) {
      this.#request(free);
      return;
    }
    // Places that become free in the same turn of the event loop go into one request.
    this.#pumpScheduled = true;
    setImmediate(() => {
      this.#pumpScheduled = false;
      this.#request(this.#free);
    });
  }

  /** Places to ask for now. */
  get #free(): number {
    const session = this.#session;
    if (session === undefined) return 0;
    const free = this.#options.maxInFlight - this.#inHand - session.outstanding;
    return free > 0 && free >= session.outstanding ? free : 0;
  }

  #request(free: number): void {
    for (let left = free; left > 0 && this.#session !== undefined; left -= this.#maxBatch) {
      this.#session.request(Math.min(left, this.#maxBatch), this.#timing);
    }
  }

  #statusArrived(status: Exclude<PullStatus, { kind: 'heartbeat' }>): void {
    if (status.kind === 'ended') {
      this.#recovery.succeeded();
      this.#pump();
      return;
    }
    if (status.kind === 'refused') {
      this.#report(new ConfigurationError(this.#name, [`the server refuses pull requests: ${status.reason}`]));
    }
    this.#heal();
  }

  #checkHeartbeats(): void {
    const session = this.#session;
    const active = session?.takeActivity() ?? false;
    if (active) {
      this.#recovery.succeeded();
      this.#reported = undefined;
    }
    if (active || session === undefined || session.outstanding === 0) {
      this.#silentTicks = 0;
      return;
    }
    this.#silentTicks++;
    if (this.#silentTicks < MISSED_HEARTBEATS) return;
    this.#report(new ConnectionError(`${this.#name}: the server's heartbeats stopped; asking anew.`));
    this.#heal();
  }

  #connectionChanged(status: StreamConnection['status']): void {
    this.#session?.abandon();
    this.#session = undefined;
    for (const session of this.#closing.keys()) session.abandon();
    if (status === 'connected') {
      this.#recovery.hurry();
      this.#open();
    } else if (status === 'closed') {
      this.#report(new ConnectionError(`${this.#name}: the connection is closed, no more messages arrive.`));
    }
  }

  /** Drops the session and opens a new one when the consumer is known to be there. */
  #heal(): void {
    this.#close();
    this.#recovery.start();
  }

  async #look(signal?: AbortSignal): Promise<void> {
    const limits = await lookForConsumer(this.#connection, this.#options);
    if (signal?.aborted === true) return;
    this.#maxBatch = limits.batch;
    this.#timing = timingFor(
      this.#options.expiresMs ?? DEFAULT_EXPIRES_MS,
      limits.expiresMs,
      this.#connection.capabilities.returnsUndelivered ? Number.POSITIVE_INFINITY : SHORT_EXPIRES_MS,
    );
  }

  #report(error: FlowError): void {
    if (this.#reported === error.message) return;
    this.#reported = error.message;
    this.#options.onError(error);
  }
}

/** The server wants at least two heartbeats per request. */
function timingFor(...limitsMs: number[]): PullTiming {
  const expiresMs = Math.min(...limitsMs);
  return { expiresMs, heartbeatMs: Math.min(MAX_HEARTBEAT_MS, Math.floor(expiresMs / 3)) };
}
