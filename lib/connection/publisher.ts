import {
  createInbox,
  PermissionViolationError,
  type Msg,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node';
import { WrongLastSequenceError, type ConnectionError } from '../common/errors.js';
import { AbortListeners } from '../common/abort-listeners.js';
import type { ConnectionMonitor, ConnectionStatus } from './connection-monitor.js';
import { PendingPublish } from './pending-publish.js';
import { publishErrors } from './publish-errors.js';
import { EncodedHeaders } from './publish-headers.js';
import { readReply } from './publish-reply.js';
import type { PublisherOptions, PublishOptions, PublishResult } from './publish.options.js';
import { SlotMap } from '../common/slot-map.js';
import { WaitingLine } from './waiting-line.js';

export type { PublishOptions, PublishResult } from './publish.options.js';

/** Period of the one timer: deadlines and repetitions may be late by this much. */
const TICK_MS = 25;
/** Silence after which a repeatable publish is sent again on a connection that stands. */
const REPEAT_AFTER_MS = 3_000;
/** Pauses after "not now", doubling from the first to the longest. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * The publish path of one connection. One reply subscription serves all publishes, acknowledgements find
 * their publish by the last token of the reply subject, and one coarse timer watches all deadlines: a publish
 * costs neither a subscription nor a timer of its own.
 *
 * - At most `maxPublishesInFlight` publishes are without acknowledgement; more wait, first come first served.
 * - A publish with a message id or an expected sequence is *repeatable*: it is sent again after a reconnect,
 *   after silence, and when the server says "not now" (no responders, no leader), until its time is over.
 *   Other publishes are sent once. Sent and unanswered when the connection drops, they fail, outcome unknown.
 * - While disconnected nothing is handed to the client, which would lose it; publishes wait here.
 * - Messages go out in the order of the calls; repetitions may come later than their successors.
 */
export class Publisher {
  readonly #nats: NatsConnection;
  readonly #monitor: ConnectionMonitor;
  readonly #options: PublisherOptions;
  /** Everything of our reply subjects but the token, dot included. */
  readonly #inbox: string;
  #replies: Subscription;
  /** Why no acknowledgement can reach us. */
  #deaf: ConnectionError | undefined;
  readonly #pending = new SlotMap<string, PendingPublish>();
  readonly #waiting = new WaitingLine();
  readonly #signals = new AbortListeners<PendingPublish>((publish, signal) =>
    this.#fail(publish, publishErrors.cancelled(publish.subject, signal)),
  );
  readonly #idle: (() => void)[] = [];
  #counter = 0;
  #maxPayload = Infinity;
  #timer: NodeJS.Timeout | undefined;
  /** Before this time the timer has nothing to look for. */
  #nextDue = Infinity;
  #admitting = false;
  #draining = false;

  /** @internal Made by the connection. */
  constructor(nats: NatsConnection, monitor: ConnectionMonitor, options: PublisherOptions) {
    this.#nats = nats;
    this.#monitor = monitor;
    this.#options = options;
    this.#maxPayload = nats.info?.max_payload ?? Infinity;
    this.#inbox = `${createInbox(options.inboxPrefix)}.`;
    this.#replies = this.#subscribe();
    monitor.onStatus((status) => this.#onStatus(status));
    monitor.onServerError((error) => this.#onServerError(error));
  }

  /** Publishes that have a place: sent, or about to be sent again. Those waiting for a place are not counted. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Publishes waiting for a place. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Publishes to a stream and resolves when it has stored the message. `data` must not change before that.
   *
   * Rejects with `WrongLastSequenceError` when an expected sequence did not hold, `JetStreamRequestError` when
   * the stream refused or there is none, `EncodeError` when the message cannot be sent at all (size, headers, subject),
   * `PublishTimeoutError` when no acknowledgement came in time, `ConnectionError` when there was no connection,
   * `CancelledError` when `signal` aborted. After the last three the message may be stored or not, unless the
   * error says that it was not sent; likewise after an error of the stream that is `repeated`.
   */
  publish(subject: string, data: Uint8Array, options: PublishOptions = {}): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      const { messageId, expectLastSubjectSequence, signal, timeoutMs = this.#options.publishTimeout } = options;
      if (this.#draining || this.#monitor.status === 'closed') throw publishErrors.closed(subject);
      if (this.#deaf !== undefined) throw this.#deaf;
      if (!(timeoutMs > 0)) throw publishErrors.noTime(timeoutMs);
      if (signal?.aborted === true) throw publishErrors.cancelled(subject, signal);
      const headers = EncodedHeaders.of(messageId, expectLastSubjectSequence, options.headers);
      const size = data.length + (headers?.encode().length ?? 0);
      if (size > this.#maxPayload) throw publishErrors.tooLarge(subject, size, this.#maxPayload);

      const token = (this.#counter++).toString(36);
      const repeatable = messageId !== undefined || expectLastSubjectSequence !== undefined;
      const reply = this.#inbox + token;
      const publish = new PendingPublish(token, subject, data, reply, headers, repeatable, timeoutMs, resolve, reject);
      if (signal !== undefined) publish.unlisten = this.#signals.add(signal, publish);
      this.#watch(publish.deadline);
      if (this.#pending.size < this.#options.maxPublishesInFlight && this.#waiting.size === 0) this.#admit(publish);
      else this.#waiting.push(publish);
    });
  }

  /** Takes no more publishes and resolves when the ones under way have ended, at the latest at their timeouts. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#pending.size === 0 && this.#waiting.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Ends at once: what is still under way fails with a `ConnectionError`. */
  stop(): void {
    this.#draining = true;
    this.#failAll((publish) => publishErrors.closed(publish.subject));
    if (!this.#nats.isClosed() && !this.#replies.isClosed()) this.#replies.unsubscribe();
  }

  #subscribe(): Subscription {
    return this.#nats.subscribe(`${this.#inbox}*`, { callback: (error, message) => this.#onReply(error, message) });
  }

  /** Gives `publish` a place, and sends it when there is a connection; otherwise the next one will. */
  #admit(publish: PendingPublish): void {
    this.#pending.set(publish.token, publish);
    if (this.#monitor.status === 'connected') this.#send(publish);
  }

  #send(publish: PendingPublish): void {
    if (publish.sent) publish.repeated = true;
    publish.sent = true;
    if (publish.repeatable) this.#repeatIn(publish, Math.min(REPEAT_AFTER_MS, publish.timeoutMs / 2));
    try {
      this.#nats.publish(publish.subject, publish.data, publish.wire);
    } catch (error) {
      this.#fail(publish, publishErrors.notSent(publish, error));
    }
  }

  #onReply(error: Error | null, message: Msg): void {
    if (error !== null) {
      const deaf = (this.#deaf = publishErrors.inboxForbidden(this.#inbox, error));
      return this.#failAll(() => deaf);
    }
    const publish = this.#pending.get(message.subject.slice(this.#inbox.length));
    // Nobody waits: given up, or the answer to one of two attempts of which the other was answered.
    if (publish === undefined) return;
    const reply = readReply(publish.subject, message);
    const { repeated } = publish;
    switch (reply.kind) {
      case 'stored':
        this.#end(publish);
        return publish.resolve({ ...reply.ack, repeated });
      case 'conflict':
        return this.#fail(publish, new WrongLastSequenceError(reply.message, reply.apiCode, { ...reply, repeated }));
      case 'refused':
        return this.#fail(publish, publishErrors.refused(reply.error, repeated));
      case 'not-now':
        if (!publish.repeatable) return this.#fail(publish, reply.error);
        publish.sent = false;
        publish.refusal = reply.error;
        this.#repeatIn(publish, pauseAfter(publish.refusals++));
    }
  }

  #onStatus(status: ConnectionStatus): void {
    if (status === 'closed') return this.#failAll((publish) => publishErrors.closed(publish.subject));
    // Copies: a publish that fails gives its place to another, which must not be visited again.
    const all = [...this.#pending.values()];
    if (status === 'connected') {
      this.#maxPayload = this.#nats.info?.max_payload ?? this.#maxPayload;
      if (this.#replies.isClosed()) this.#replies = this.#subscribe();
      this.#deaf = undefined;
      for (const publish of all) if (!publish.settled) this.#send(publish);
      return;
    }
    for (const publish of all) {
      publish.repeatAt = Infinity;
      if (publish.sent && !publish.repeatable) this.#fail(publish, publishErrors.lost(publish.subject));
    }
  }

  /** The server reports a forbidden subject without naming the publish: all publishes to the subject fail. */
  #onServerError(error: Error): void {
    if (!(error instanceof PermissionViolationError) || error.operation !== 'publish') return;
    for (const publish of [...this.#pending.values()]) {
      if (publish.subject === error.subject) this.#fail(publish, publishErrors.forbidden(publish, error));
    }
  }

  #fail(publish: PendingPublish, error: Error): void {
    if (publish.settled) return;
    this.#end(publish);
    publish.reject(error);
  }

  #failAll(errorFor: (publish: PendingPublish) => Error): void {
    // The waiting ones first, or each of them would get a place only to lose it.
    for (const publish of [...this.#waiting.all(), ...this.#pending.values()]) this.#fail(publish, errorFor(publish));
  }

  /** Takes a publish out and gives its place to the next in line. */
  #end(publish: PendingPublish): void {
    publish.settled = true;
    publish.unlisten?.();
    if (!this.#pending.delete(publish.token)) this.#waiting.left();
    if (this.#waiting.size > 0) this.#admitWaiting();
    if (this.#idle.length > 0 && this.#pending.size === 0 && this.#waiting.size === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #admitWaiting(): void {
    // Sending may fail at once and end up here again; the outer loop goes on then.
    if (this.#admitting) return;
    this.#admitting = true;
    while (this.#pending.size < this.#options.maxPublishesInFlight) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#admit(next);
    }
    this.#admitting = false;
  }

  #repeatIn(publish: PendingPublish, milliseconds: number): void {
    publish.repeatAt = performance.now() + milliseconds;
    this.#watch(publish.repeatAt);
  }

  /** Makes sure the timer looks at `time`. */
  #watch(time: number): void {
    if (time < this.#nextDue) this.#nextDue = time;
    // The timer alone keeps no process alive; a connection does.
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #tick(): void {
    if (this.#pending.size === 0 && this.#waiting.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#nextDue = Infinity;
      return;
    }
    const now = performance.now();
    if (now < this.#nextDue) return;
    this.#nextDue = Infinity;
    for (const publish of [...this.#waiting.all(), ...this.#pending.values()]) this.#look(publish, now);
  }

  #look(publish: PendingPublish, now: number): void {
    if (publish.settled) return;
    const connected = this.#monitor.status === 'connected';
    if (now >= publish.deadline) {
      return this.#fail(publish, publishErrors.overdue(publish, connected, this.#options.maxPublishesInFlight));
    }
    if (connected && now >= publish.repeatAt) this.#send(publish);
    this.#nextDue = Math.min(this.#nextDue, publish.deadline, publish.repeatAt);
  }
}

/** Half of the pause is random, so that many publishes do not come back together. */
function pauseAfter(refusals: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** refusals, LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
}
