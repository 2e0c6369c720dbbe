import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import { Delivery } from './delivery.js';
import { toFlowError } from './jetstream-api.js';
import { readPullStatus, type PullStatus } from './pull-status.js';
import type { FlowError } from '../common/errors.js';
import type { StreamConnection } from './stream-connection.js';

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
  #active = true;
  #closed = false;

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
    } catch (error) {
      this.#listener.onFailure(toFlowError(`ask for messages on "${this.#subject}"`, error));
    }
  }

  /** Ends the session when the connection is lost: the server has forgotten it, nothing can arrive. */
  abandon(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#outstanding = 0;
    this.#subscription.unsubscribe();
  }

  /**
   * Ends the session on a living connection. Its requests die with the inbox: the server puts a message back
   * in line at once when nobody is left to take it. Messages that are on their way are handed back here.
   * Resolves when none can arrive any more and the server has seen what was handed back.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#outstanding = 0;
    if (this.#connection.nats.isClosed() || this.#subscription.isClosed()) return;
    await this.#subscription.drain();
    if (this.#connection.status === 'connected') await this.#connection.nats.flush();
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
    if (this.#closed) {
      delivery.nak(0);
      return;
    }
    if (this.#outstanding > 0) this.#outstanding--;
    this.#listener.onDelivery(delivery);
  }

  #receiveStatus(message: Msg): void {
    if (this.#closed) return;
    const batch = Number(message.subject.slice(message.subject.lastIndexOf('-') + 1));
    const status = readPullStatus(message, batch);
    if (status.kind === 'heartbeat') return;
    if (status.kind === 'ended') this.#outstanding = Math.max(0, this.#outstanding - status.undelivered);
    this.#listener.onStatus(status);
  }
}
