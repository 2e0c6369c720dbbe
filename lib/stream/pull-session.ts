import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import { Delivery } from './delivery.js';
import { toFlowError } from './jetstream-api.js';
import { readPullStatus, type PullStatus } from './pull-status.js';
import type { FlowError } from '../common/errors.js';
import type { StreamConnection } from './stream-connection.js';

const ENDING_GRACE_MS = 500;

/** Who listens to a {@link PullSession}; nothing is called any more once it is closed. */
export interface PullSessionListener {
  onDelivery(delivery: Delivery): void;
  /** Any status but a heartbeat; what it frees is already subtracted. */
  onStatus(status: Exclude<PullStatus, { kind: 'heartbeat' }>): void;
  /** The server does not let us listen on the inbox, or the connection takes no more requests. */
  onFailure(error: FlowError): void;
}

/** How long a pull request stands, and how often the server says so; both in milliseconds. */
export interface PullTiming {
  readonly expiresMs: number;
  readonly heartbeatMs: number;
}

/**
 * One inbox and the pull requests that are answered to it. A session never outlives a doubt (lost
 * connection, lost heartbeats, lost consumer): the next one starts with a new inbox, so that what the server
 * still owes to the old one cannot exceed what the new one asks for.
 */
export class PullSession {
  readonly #connection: StreamConnection;
  readonly #subject: string;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #listener: PullSessionListener;
  #requests = 0;
  #outstanding = 0;
  #active = false;
  #closed = false;
  #longestMs = 0;
  #onEnd: (() => void) | undefined;
  readonly #held: Delivery[] = [];

  constructor(connection: StreamConnection, stream: string, consumer: string, listener: PullSessionListener) {
    this.#connection = connection;
    this.#listener = listener;
    this.#subject = `${connection.apiPrefix}.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    this.#inbox = createInbox(connection.inboxPrefix);
    this.#subscription = connection.nats.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => this.#receive(error, message),
    });
  }

  /** Messages asked for that have not arrived. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Whether the server gave a sign of life since the last call. */
  takeActivity(): boolean {
    const active = this.#active;
    this.#active = false;
    return active;
  }

  /** Asks for `batch` messages. */
  request(batch: number, timing: PullTiming): void {
    const expires = timing.expiresMs * 1_000_000;
    const heartbeat = timing.heartbeatMs * 1_000_000;
    // The batch travels in the reply subject: a status without a count of its own then says what it ended.
    const reply = `${this.#inbox}.${++this.#requests}-${batch}`;
    try {
      this.#connection.nats.publish(
        this.#subject,
        `{"batch":${batch},"expires":${expires},"idle_heartbeat":${heartbeat}}`,
        { reply },
      );
      this.#outstanding += batch;
      this.#longestMs = Math.max(this.#longestMs, timing.expiresMs);
    } catch (error) {
      this.#listener.onFailure(toFlowError(`ask for messages on "${this.#subject}"`, error));
    }
  }

  /** Ends the session when the connection is lost: the server has forgotten it, nothing can arrive. */
  abandon(): void {
    this.#closed = true;
    this.#settle(0);
    this.#held.length = 0;
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe();
  }

  /**
   * Ends the session on a living connection and hands back what is on its way. Its requests die with the
   * inbox, and a message that is sent to it all the same goes back in line at once; an older server would
   * forget that message until its ack wait is over, so there the inbox stays until the requests have run out.
   * Messages are held until then: handed back earlier, they would come straight here again.
   *
   * Resolves when none can arrive any more and the server has seen what was handed back.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { nats, capabilities } = this.#connection;
    if (!capabilities.returnsUndelivered) await this.#requestsEnd();
    if (nats.isClosed() || this.#subscription.isClosed()) return;
    await this.#subscription.drain();
    for (const delivery of this.#held.splice(0)) delivery.nak(0);
    if (this.#connection.status === 'connected') await nats.flush();
  }

  /** Resolves when nothing is outstanding, by messages or by time. */
  #requestsEnd(): Promise<void> {
    if (this.#outstanding === 0) return Promise.resolve();
    return new Promise((resolve) => {
      // The server ends each request with a status; the timer is for a server that fell silent.
      const timer = setTimeout(resolve, this.#longestMs + ENDING_GRACE_MS);
      this.#onEnd = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #settle(outstanding: number): void {
    this.#outstanding = Math.max(0, outstanding);
    if (this.#outstanding === 0) this.#onEnd?.();
  }

  #receive(error: Error | null, message: Msg): void {
    if (error !== null) {
      if (!this.#closed) this.#listener.onFailure(toFlowError(`listen on "${this.#inbox}.*"`, error));
      return;
    }
    this.#active = true;
    // Only messages of a stream ask for a reply: the acknowledgement.
    if (message.reply === undefined || message.reply === '') {
      this.#receiveStatus(message);
      return;
    }
    const delivery = new Delivery(message, this.#connection.nats);
    if (this.#closed) this.#held.push(delivery);
    this.#settle(this.#outstanding - 1);
    if (!this.#closed) this.#listener.onDelivery(delivery);
  }

  #receiveStatus(message: Msg): void {
    const batch = Number(message.subject.slice(message.subject.lastIndexOf('-') + 1));
    const status = readPullStatus(message, batch);
    if (status.kind === 'heartbeat') return;
    this.#settle(status.kind === 'ended' ? this.#outstanding - status.undelivered : 0);
    if (!this.#closed) this.#listener.onStatus(status);
  }
}
