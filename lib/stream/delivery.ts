import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node';
import { AckTimeoutError } from '../common/errors.js';
import { readDeliveryInfo, type DeliveryInfo } from './delivery-info.js';

const encoder = new TextEncoder();
const ACK = encoder.encode('+ACK');
const NAK = encoder.encode('-NAK');
const PROGRESS = encoder.encode('+WPI');
const TERM = encoder.encode('+TERM');
const NANOS_PER_MS = 1_000_000;

/**
 * One delivery of one message by a consumer. It is settled once: the first of `ack`, `ackConfirmed`, `nak`
 * and `term` counts, later ones do nothing. The unconfirmed calls never throw and never wait; what they send
 * while the connection is down is lost, and the server delivers the message again after its ack wait.
 */
export class Delivery {
  readonly #raw: Msg;
  readonly #nats: NatsConnection;
  #info: DeliveryInfo | undefined;
  #settled = false;
  #forgiven = 0;
  #confirming: Promise<void> | undefined;

  constructor(raw: Msg, nats: NatsConnection) {
    this.#raw = raw;
    this.#nats = nats;
  }

  /** Subject the message was published to. */
  get subject(): string {
    return this.#raw.subject;
  }

  /** The payload; a view into the client's receive buffer: copy it to keep it. */
  get data(): Uint8Array {
    return this.#raw.data;
  }

  get headers(): MsgHdrs | undefined {
    return this.#raw.headers;
  }

  /** Stream the message is stored in. */
  get stream(): string {
    return this.#parsed.stream;
  }

  /** Sequence of the message in its stream. */
  get sequence(): number {
    return this.#parsed.streamSequence;
  }

  /** How many times the server delivered this message to this consumer, this time included; from 1. Without those that {@link forgive} names. */
  get attempt(): number {
    return this.#parsed.deliveries - this.forgiven;
  }

  /** Earlier deliveries that count as no attempt. */
  get forgiven(): number {
    return this.#forgiven;
  }

  /** Says that so many earlier deliveries were no attempts. */
  forgive(deliveries: number): void {
    this.#forgiven = Math.min(deliveries, this.#parsed.deliveries - 1);
  }

  /** Whether the message was delivered before. */
  get redelivered(): boolean {
    return this.#parsed.deliveries > 1;
  }

  /** When the stream stored the message, in millisecond precision. */
  get time(): Date {
    return new Date(this.#parsed.timeMs);
  }

  /** Messages for this consumer that the server had not delivered yet when it sent this one. */
  get pending(): number {
    return this.#parsed.pending;
  }

  /** Whether the delivery was acknowledged, handed back or terminated (confirmed or not). */
  get settled(): boolean {
    return this.#settled;
  }

  /** Done; the message is not delivered again. */
  ack(): void {
    this.#settle(ACK);
  }

  /**
   * As {@link ack}, and resolves when the server has confirmed it; resolves at once when the delivery was
   * settled before in another way. Calls at the same time share one request.
   *
   * @throws AckTimeoutError without confirmation within `timeoutMs`. Whether the server took the ack is not
   * known then; the delivery counts as not settled, so that the caller can repeat or hand back.
   */
  ackConfirmed(timeoutMs: number): Promise<void> {
    if (this.#confirming !== undefined) return this.#confirming;
    if (this.#settled) return Promise.resolve();
    this.#settled = true;
    this.#confirming = this.#requestAck(timeoutMs);
    return this.#confirming;
  }

  /** Hands the message back; the server delivers it again in `delayMs` milliseconds, 0 for at once. */
  nak(delayMs: number): void {
    const nanos = Math.round(Math.max(0, delayMs) * NANOS_PER_MS);
    this.#settle(nanos === 0 ? NAK : encoder.encode(`-NAK {"delay":${nanos}}`));
  }

  /** Gives the message up; the server does not deliver it again. */
  term(): void {
    this.#settle(TERM);
  }

  /** Still being worked on: the server's ack wait starts anew. Nothing when the delivery is settled. */
  extend(): void {
    if (!this.#settled) this.#raw.respond(PROGRESS);
  }

  get #parsed(): DeliveryInfo {
    this.#info ??= readDeliveryInfo(this.#raw.reply ?? '');
    return this.#info;
  }

  #settle(payload: Uint8Array): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#raw.respond(payload);
  }

  async #requestAck(timeoutMs: number): Promise<void> {
    try {
      await this.#nats.request(this.#raw.reply ?? '', ACK, { timeout: Math.max(1, timeoutMs) });
    } catch (error) {
      this.#settled = false;
      this.#confirming = undefined;
      throw new AckTimeoutError(this.subject, timeoutMs, { cause: error });
    }
  }
}
