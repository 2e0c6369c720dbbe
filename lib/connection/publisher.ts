import { createInbox, PermissionViolationError, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import { CancelledError, ConnectionError, EncodeError, PublishTimeoutError, WrongLastSequenceError } from '../common/errors.js';
import type { ConnectionMonitor, ConnectionStatus } from './connection-monitor.js';
import { PendingPublish } from './pending-publish.js';
import { EncodedHeaders, type HeaderFields } from './publish-headers.js';
import { readReply } from './publish-reply.js';
import { WaitingLine } from './waiting-line.js';

/** What goes with one publish. */
export interface PublishOptions {
  /** Headers beside the library's own. Message id and expected sequence have options of their own. */
  readonly headers?: HeaderFields;
  /** `Nats-Msg-Id`: the stream drops a second arrival within its duplicate window. Makes the publish repeatable. */
  readonly messageId?: string;
  /** `Nats-Expected-Last-Subject-Sequence`; 0: the subject must be new. Makes the publish repeatable. */
  readonly expectLastSubjectSequence?: number;
  /** Time from the call to the end, with waiting and all repetitions. @default the connection's `publishTimeout` */
  readonly timeoutMs?: number;
  /** Gives up. A message already sent may be stored all the same. */
  readonly signal?: AbortSignal;
}

/** Where the message was stored. */
export interface PublishResult {
  readonly stream: string;
  readonly sequence: number;
  /** The stream had a message of this id already; `sequence` is that one's. */
  readonly duplicate: boolean;
  /** The publish was sent more than once, with the outcome of an earlier attempt unknown. */
  readonly repeated: boolean;
}

/** Limits of a {@link Publisher}. */
export interface PublisherOptions {
  readonly publishTimeout: number;
  readonly maxPublishesInFlight: number;
  readonly inboxPrefix?: string | undefined;
}

/** The coarse clock: deadlines and repetitions may be late by this much. */
const TICK_MS = 25;
/** Silence after which a repeatable publish is sent again on a connection that stands. */
const REPEAT_AFTER_MS = 3_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * The publish path of one connection. One reply subscription serves all publishes, acknowledgements find
 * their publish by the last token of the reply subject, and one coarse timer watches all deadlines: a publish
 * costs neither a subscription nor a timer of its own.
 *
 * - At most `maxPublishesInFlight` publishes are without acknowledgement; more wait their turn, first come first served.
 * - A publish with a message id or an expected sequence is *repeatable*: it is sent again after a reconnect,
 *   after silence, and when the server says "not now" (no responders, no leader), until its time is over.
 *   Other publishes are sent once. Sent and unanswered when the connection drops, they fail, outcome unknown.
 * - While disconnected nothing is handed to the client, which would lose it; it waits here.
 * - Messages go out in the order of the calls; repetitions may come later than their successors.
 */
export class Publisher {
  readonly #nats: NatsConnection;
  readonly #monitor: ConnectionMonitor;
  readonly #options: PublisherOptions;
  readonly #inbox: string;
  readonly #replies: Subscription;
  readonly #pending = new Map<string, PendingPublish>();
  readonly #waiting = new WaitingLine();
  readonly #idle: (() => void)[] = [];
  #counter = 0;
  #maxPayload: number;
  #timer: NodeJS.Timeout | undefined;
  /** Before this time the timer has nothing to look for. */
  #nextDue = Infinity;
  #admitting = false;
  #draining = false;

  constructor(nats: NatsConnection, monitor: ConnectionMonitor, options: PublisherOptions) {
    this.#nats = nats;
    this.#monitor = monitor;
    this.#options = options;
    this.#maxPayload = nats.info?.max_payload ?? Infinity;
    this.#inbox = `${createInbox(options.inboxPrefix)}.`;
    this.#replies = nats.subscribe(`${this.#inbox}*`, { callback: (error, message) => this.#onReply(error, message) });
    monitor.onStatus((status) => this.#onStatus(status));
    monitor.onServerError((error) => this.#onServerError(error));
  }

  /** Publishes sent or about to be sent, without acknowledgement. Those waiting for a place are not counted. */
  get inFlight(): number {
    return this.#pending.size;
  }

  /** Publishes waiting for a place in the window. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Publishes to a stream and resolves when it has stored the message.
   *
   * Rejects with `WrongLastSequenceError` when an expected sequence did not hold, `JetStreamRequestError` when
   * the stream refused, `EncodeError` when the message cannot be sent at all (size, headers, subject),
   * `PublishTimeoutError` when no acknowledgement came in time, `ConnectionError` when there was no connection,
   * `CancelledError` when `signal` aborted. After `PublishTimeoutError`, `ConnectionError` and `CancelledError` the
   * message may be stored or not.
   */
  publish(subject: string, data: Uint8Array, options: PublishOptions = {}): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      const { messageId, expectLastSubjectSequence, signal } = options;
      if (this.#draining || this.#monitor.status === 'closed') throw closedError(subject);
      if (signal?.aborted === true) throw new CancelledError(`Publishing to "${subject}"`, { cause: signal.reason });
      const headers = EncodedHeaders.of(messageId, expectLastSubjectSequence, options.headers);
      const size = data.length + (headers === undefined ? 0 : headers.encode().length);
      if (size > this.#maxPayload) throw this.#tooLarge(subject, size);
      const timeoutMs = options.timeoutMs ?? this.#options.publishTimeout;
      const token = (this.#counter++).toString(36);
      const publish = new PendingPublish(
        token,
        subject,
        data,
        this.#inbox + token,
        headers,
        messageId !== undefined || expectLastSubjectSequence !== undefined,
        timeoutMs,
        performance.now() + timeoutMs,
        resolve,
        reject,
      );
      if (signal !== undefined) this.#listen(publish, signal);
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

  /** Ends: what is still under way fails with a `ConnectionError`. Ends the reply subscription too. */
  stop(): void {
    this.#draining = true;
    this.#failAll((publish) => closedError(publish.subject));
    if (!this.#nats.isClosed() && !this.#replies.isClosed()) this.#replies.unsubscribe();
  }

  #admit(publish: PendingPublish): void {
    this.#pending.set(publish.token, publish);
    if (this.#monitor.status === 'connected') this.#send(publish);
  }

  #send(publish: PendingPublish): void {
    if (publish.sent) publish.repeated = true;
    publish.sent = true;
    if (publish.repeatable) {
      publish.repeatAt = performance.now() + Math.min(REPEAT_AFTER_MS, publish.timeoutMs / 2);
      this.#watch(publish.repeatAt);
    }
    try {
      this.#nats.publish(publish.subject, publish.data, publish.wire);
    } catch (error) {
      this.#fail(publish, cannotSend(publish.subject, error));
    }
  }

  #onReply(error: Error | null, message: Msg): void {
    if (error !== null) {
      this.#failAll(() => new ConnectionError(`The server does not let us subscribe to our reply subject ${this.#inbox}*; permit it, or set inboxPrefix.`, { cause: error }));
      return;
    }
    const publish = this.#pending.get(message.subject.slice(this.#inbox.length));
    // Late, or the answer to the first of two attempts of which the other was answered.
    if (publish === undefined) return;
    const reply = readReply(publish.subject, message);
    switch (reply.kind) {
      case 'stored':
        this.#end(publish);
        publish.resolve({ stream: reply.stream, sequence: reply.sequence, duplicate: reply.duplicate, repeated: publish.repeated });
        return;
      case 'conflict':
        return this.#fail(publish, new WrongLastSequenceError(reply.message, reply.apiCode, { repeated: publish.repeated, ...(reply.lastSequence !== undefined && { lastSequence: reply.lastSequence }) }));
      case 'refused':
        return this.#fail(publish, reply.error);
      case 'not-now': {
        if (!publish.repeatable) return this.#fail(publish, reply.error);
        publish.sent = false;
        publish.refusal = reply.error;
        const pause = Math.min(FIRST_PAUSE_MS * 2 ** publish.refusals++, LONGEST_PAUSE_MS);
        publish.repeatAt = performance.now() + pause * (0.5 + Math.random() / 2);
        this.#watch(publish.repeatAt);
      }
    }
  }

  #onStatus(status: ConnectionStatus): void {
    if (status === 'connected') {
      this.#maxPayload = this.#nats.info?.max_payload ?? this.#maxPayload;
      for (const publish of this.#pending.values()) if (!publish.settled) this.#send(publish);
      return;
    }
    if (status === 'closed') return this.#failAll((publish) => closedError(publish.subject));
    for (const publish of [...this.#pending.values()]) {
      publish.repeatAt = Infinity;
      if (publish.sent && !publish.repeatable) {
        this.#fail(publish, new ConnectionError(`The connection was lost before the publish on "${publish.subject}" was acknowledged; whether it is stored is not known. A messageId would have let it be repeated.`));
      }
    }
  }

  /** The server reports a forbidden subject without naming the publish: all publishes to the subject fail. */
  #onServerError(error: Error): void {
    if (!(error instanceof PermissionViolationError) || error.operation !== 'publish') return;
    for (const publish of [...this.#pending.values()]) {
      if (publish.subject === error.subject) {
        this.#fail(publish, new ConnectionError(`The server does not let us publish to "${publish.subject}"; grant the permission.`, { cause: error }));
      }
    }
  }

  #listen(publish: PendingPublish, signal: AbortSignal): void {
    const onAbort = (): void => this.#fail(publish, new CancelledError(`Publishing to "${publish.subject}"`, { cause: signal.reason }));
    signal.addEventListener('abort', onAbort, { once: true });
    publish.unlisten = () => signal.removeEventListener('abort', onAbort);
  }

  #fail(publish: PendingPublish, error: Error): void {
    if (publish.settled) return;
    this.#end(publish);
    publish.reject(error);
  }

  /** Takes a publish out and gives its place to the next in line. */
  #end(publish: PendingPublish): void {
    publish.settled = true;
    publish.unlisten?.();
    if (!this.#pending.delete(publish.token)) this.#waiting.left(publish);
    if (this.#waiting.size > 0) this.#admitWaiting();
    if (this.#pending.size === 0 && this.#waiting.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
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

  #failAll(errorFor: (publish: PendingPublish) => Error): void {
    for (const publish of [...this.#waiting.all(), ...this.#pending.values()]) this.#fail(publish, errorFor(publish));
  }

  /** Makes sure the timer looks at `time`. */
  #watch(time: number): void {
    if (time < this.#nextDue) this.#nextDue = time;
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #tick(): void {
    const now = performance.now();
    if (now < this.#nextDue) return;
    this.#nextDue = Infinity;
    for (const publish of [...this.#waiting.all()]) this.#look(publish, now);
    for (const publish of [...this.#pending.values()]) this.#look(publish, now);
    if (this.#nextDue === Infinity) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #look(publish: PendingPublish, now: number): void {
    if (publish.settled) return;
    if (now >= publish.deadline) return this.#fail(publish, this.#overdue(publish));
    if (now >= publish.repeatAt && this.#monitor.status === 'connected') this.#send(publish);
    this.#nextDue = Math.min(this.#nextDue, publish.deadline, publish.repeatAt);
  }

  #overdue(publish: PendingPublish): Error {
    const { subject, timeoutMs } = publish;
    const unsent = !publish.sent && !publish.repeated && publish.refusal === undefined;
    if (this.#monitor.status !== 'connected' && unsent) {
      return new ConnectionError(`Not connected to NATS for the ${timeoutMs} ms a publish on "${subject}" had; it was not sent.`);
    }
    const cause =
      publish.refusal ??
      (unsent ? new ConnectionError(`It waited for a place: ${this.#options.maxPublishesInFlight} publishes are in flight (maxPublishesInFlight).`) : undefined);
    return new PublishTimeoutError(subject, timeoutMs, cause === undefined ? {} : { cause });
  }

  #tooLarge(subject: string, size: number): EncodeError {
    return new EncodeError(`A message of ${size} bytes (headers included) on "${subject}" exceeds the server's max_payload of ${this.#maxPayload} bytes. Store large data elsewhere and send a reference, or raise max_payload.`);
  }
}

function closedError(subject: string): ConnectionError {
  return new ConnectionError(`The connection is closed or closing; the publish on "${subject}" was given up.`);
}

function cannotSend(subject: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  const closed = error instanceof Error && (error.name === 'ClosedConnectionError' || error.name === 'DrainingConnectionError');
  return closed
    ? new ConnectionError(`The publish on "${subject}" was not sent: ${reason}.`, { cause: error })
    : new EncodeError(`A message for "${subject}" cannot be sent: ${reason}.`, { cause: error });
}
