import { AckPolicy, DeliverPolicy, ReplayPolicy } from '@nats-io/jetstream';
import { createInbox, nuid, type Msg, type Subscription } from '@nats-io/transport-node';
import type { FlowError } from '../common/errors.js';
import { readDeliveryInfo } from './delivery-info.js';
import { ApiCode, callApi, isApiError, toFlowError } from './jetstream-api.js';
import type { StoredMessage } from './stored-message.js';
import type { StreamConnection } from './stream-connection.js';

const NANOS_PER_MS = 1_000_000;
/** How long the server keeps the consumer when nobody listens any more: our process died. */
const ABANDONED_AFTER_MS = 10_000;

/** Where an {@link OrderedPush} begins, and how often the server says that it is alive. */
export interface OrderedPushOptions {
  readonly stream: string;
  readonly filter: string;
  /** Stream sequence of the first message wanted. */
  readonly startSequence: number;
  readonly heartbeatMs: number;
}

/** Who listens; nothing is called any more after {@link OrderedPush.abandon}. */
export interface OrderedPushListener {
  onMessage(message: StoredMessage): void;
  /** Nothing is left of what was stored when this was called. */
  onCaughtUp(): void;
  /** The order is broken, or the server does not let us listen: start a new one. */
  onBroken(error: FlowError | undefined): void;
}

/**
 * One short-lived push consumer without acknowledgements, and the inbox it delivers to. The server numbers
 * its deliveries, so a missing one is seen at the next delivery or heartbeat; then this object has had its day.
 */
export class OrderedPush {
  readonly #connection: StreamConnection;
  readonly #options: OrderedPushOptions;
  readonly #listener: OrderedPushListener;
  readonly #name = `watch_${nuid.next()}`;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  #delivered = 0;
  #active = true;
  #over = false;

  /** Listens at once; messages come once {@link create} has asked for them. */
  constructor(connection: StreamConnection, options: OrderedPushOptions, listener: OrderedPushListener) {
    this.#connection = connection;
    this.#options = options;
    this.#listener = listener;
    this.#inbox = createInbox(connection.inboxPrefix);
    this.#subscription = connection.nats.subscribe(this.#inbox, {
      callback: (error, message) => this.#receive(error, message),
    });
  }

  /**
   * Creates the consumer; messages may arrive before this resolves.
   *
   * @throws JetStreamRequestError, for example when there is no such stream; ConnectionError without answer.
   */
  async create(): Promise<void> {
    const { stream, filter, startSequence, heartbeatMs } = this.#options;
    const info = await callApi(`watch "${filter}" in stream "${stream}"`, () =>
      this.#connection.manager.consumers.add(stream, {
        name: this.#name,
        deliver_subject: this.#inbox,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: startSequence,
        filter_subject: filter,
        ack_policy: AckPolicy.None,
        replay_policy: ReplayPolicy.Instant,
        max_deliver: 1,
        flow_control: true,
        idle_heartbeat: heartbeatMs * NANOS_PER_MS,
        inactive_threshold: ABANDONED_AFTER_MS * NANOS_PER_MS,
        mem_storage: true,
        num_replicas: 1,
      }),
    );
    if (!this.#over && info.num_pending + info.delivered.consumer_seq === 0) this.#listener.onCaughtUp();
  }

  /** Whether the server gave a sign of life since the last call. */
  takeActivity(): boolean {
    const active = this.#active;
    this.#active = false;
    return active;
  }

  /** Stops listening. The server removes the consumer by itself a little later. */
  abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#subscription.unsubscribe();
  }

  /** Stops listening and removes the consumer now. */
  async remove(): Promise<void> {
    this.abandon();
    const { stream } = this.#options;
    try {
      await callApi(`remove consumer "${this.#name}" of stream "${stream}"`, () =>
        this.#connection.manager.consumers.delete(stream, this.#name),
      );
    } catch (error) {
      if (!isApiError(error, ApiCode.consumerNotFound, ApiCode.streamNotFound)) throw error;
    }
  }

  #receive(error: Error | null, message: Msg): void {
    if (this.#over) return;
    if (error !== null) {
      this.#listener.onBroken(toFlowError(`listen on "${this.#inbox}"`, error));
      return;
    }
    this.#active = true;
    // The server's own words come on the inbox, messages on the subject they were published to.
    if (message.subject === this.#inbox) this.#receiveStatus(message);
    else this.#receiveMessage(message);
  }

  #receiveMessage(message: Msg): void {
    const info = readDeliveryInfo(message.reply ?? '');
    if (info.consumerSequence !== this.#delivered + 1) {
      this.#listener.onBroken(undefined);
      return;
    }
    this.#delivered++;
    this.#listener.onMessage({
      subject: message.subject,
      sequence: info.streamSequence,
      data: message.data,
      headers: message.headers,
      time: new Date(info.timeMs),
    });
    if (info.pending === 0 && !this.#over) this.#listener.onCaughtUp();
  }

  #receiveStatus(message: Msg): void {
    // Flow control: the server sends no more until it knows that we have taken what it sent.
    if (message.reply !== undefined && message.reply !== '') {
      message.respond();
      return;
    }
    const stalled = message.headers?.get('Nats-Consumer-Stalled') ?? '';
    if (stalled !== '') this.#connection.nats.publish(stalled);
    const delivered = message.headers?.get('Nats-Last-Consumer') ?? '';
    if (delivered === '') return;
    if (Number(delivered) !== this.#delivered) this.#listener.onBroken(undefined);
    // A heartbeat comes only when there is nothing to deliver.
    else if (stalled === '') this.#listener.onCaughtUp();
  }
}
