import type { StreamInfo } from '@nats-io/jetstream';
import { ConnectionError, FlowError } from '../common/errors.js';
import { callApi, toFlowError } from './jetstream-api.js';
import { OrderedPush } from './ordered-push.js';
import { Recovery } from './recovery.js';
import type { StoredMessage } from './stored-message.js';
import type { StreamConnection } from './stream-connection.js';

const HEARTBEAT_MS = 2_000;
const MISSED_HEARTBEATS = 2;

/** What {@link SubjectWatch} watches. */
export interface SubjectWatchOptions {
  readonly stream: string;
  /** Subject filter; one, wildcards allowed. */
  readonly filter: string;
  /** Everything the stream holds, only what is stored after `start` was called, or from this sequence on. */
  readonly from: 'all' | 'new' | number;
  /** Called for one message after the other, in the order of the stream. What it throws goes to `onError`. */
  onMessage(message: StoredMessage): void;
  /** Called once, when the messages that were there at the start are through; also when there were none. */
  onCaughtUp?(): void;
  /** Called for what goes wrong while watching, once until it changes; the watch goes on by itself. */
  onError(error: FlowError): void;
}

/**
 * Follows the messages of a subject filter: each one once, in order, without a gap, over lost connections and
 * restarts of the server. A stream that was made anew or lost its end is followed from its first message. When idle
 * it costs one heartbeat every 2 s. A process that dies leaves a consumer that the server removes after 10 s.
 */
export class SubjectWatch {
  readonly #connection: StreamConnection;
  readonly #options: SubjectWatchOptions;
  readonly #recovery: Recovery;
  readonly #unlisten: () => void;
  readonly #watchdog: NodeJS.Timeout;
  readonly #removing = new Set<Promise<void>>();
  #push: OrderedPush | undefined;
  #lastSequence = 0;
  #streamCreated: string | undefined;
  #caughtUp = false;
  #stopped = false;
  #silentTicks = 0;
  #reported: string | undefined;

  private constructor(connection: StreamConnection, options: SubjectWatchOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#recovery = new Recovery({
      wanted: () => !this.#stopped && connection.status === 'connected',
      attempt: (signal) => this.#open(signal),
      onFailure: (error) => this.#report(toFlowError(`watch ${this.#name}`, error)),
      onEnd: () => undefined,
    });
    this.#unlisten = connection.onStatus((status) => this.#connectionChanged(status));
    this.#watchdog = setInterval(() => this.#checkHeartbeats(), HEARTBEAT_MS).unref();
  }

  /**
   * Starts to watch; messages may arrive before this resolves.
   *
   * @throws JetStreamRequestError when there is no such stream; ConnectionError when the server does not answer.
   */
  static async start(connection: StreamConnection, options: SubjectWatchOptions): Promise<SubjectWatch> {
    const watch = new SubjectWatch(connection, options);
    try {
      await watch.#open();
      return watch;
    } catch (error) {
      await watch.stop();
      throw error;
    }
  }

  /** Ends the watch. Resolves when no callback comes any more and the server has no consumer left. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unlisten();
    clearInterval(this.#watchdog);
    await this.#recovery.settle();
    this.#discard();
    await Promise.all(this.#removing);
  }

  get #name(): string {
    return `"${this.#options.filter}" in stream "${this.#options.stream}"`;
  }

  async #open(signal?: AbortSignal): Promise<void> {
    const { stream, filter } = this.#options;
    const info = await callApi(`watch ${this.#name}`, () => this.#connection.manager.streams.info(stream));
    if (signal?.aborted === true) return;
    const startSequence = this.#startSequence(info);
    const push: OrderedPush = new OrderedPush(
      this.#connection,
      { stream, filter, startSequence, heartbeatMs: HEARTBEAT_MS },
      {
        onMessage: (message) => this.#deliver(message),
        onCaughtUp: () => this.#tellCaughtUp(),
        onBroken: (error) => {
          if (error !== undefined) this.#report(error);
          this.#renew();
        },
      },
    );
    this.#push = push;
    this.#silentTicks = -1; // the first tick may come right away
    try {
      await push.create();
    } catch (error) {
      push.abandon();
      if (this.#push === push) this.#push = undefined;
      throw error;
    }
    if (this.#push === push) return;
    push.abandon();
    throw new ConnectionError(`Watching ${this.#name}: the connection was lost while the watch began.`);
  }

  /** The next sequence wanted, unless the stream is not the one any more that was watched before. */
  #startSequence({ created, state }: StreamInfo): number {
    const { from } = this.#options;
    const last = state.last_seq;
    if (this.#streamCreated === undefined) {
      this.#lastSequence = from === 'all' ? 0 : from === 'new' ? last : from - 1;
    } else if (this.#streamCreated !== created || last < this.#lastSequence) {
      this.#lastSequence = 0;
    }
    this.#streamCreated = created;
    return this.#lastSequence + 1;
  }

  #deliver(message: StoredMessage): void {
    if (message.sequence <= this.#lastSequence) return;
    this.#lastSequence = message.sequence;
    this.#guard('onMessage', () => this.#options.onMessage(message));
  }

  #tellCaughtUp(): void {
    if (this.#caughtUp) return;
    this.#caughtUp = true;
    this.#guard('onCaughtUp', () => this.#options.onCaughtUp?.());
  }

  /** What a callback throws must not reach the client's parser, which would drop other messages. */
  #guard(callback: string, call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.onError(
        new FlowError('WATCH', `Watching ${this.#name}: ${callback} threw; the watch goes on.`, { cause: error }),
      );
    }
  }

  #connectionChanged(status: StreamConnection['status']): void {
    // The server forgets the consumer by itself; the new one has another name and inbox.
    this.#push?.abandon();
    this.#push = undefined;
    if (status === 'connected') {
      this.#recovery.hurry();
      this.#recovery.start();
    } else if (status === 'closed') {
      this.#report(new ConnectionError(`Watching ${this.#name}: the connection is closed, no more messages arrive.`));
    }
  }

  #checkHeartbeats(): void {
    if (this.#push === undefined || this.#recovery.running) return;
    if (this.#push.takeActivity()) {
      this.#silentTicks = 0;
      this.#reported = undefined;
      this.#recovery.succeeded();
      return;
    }
    this.#silentTicks++;
    if (this.#silentTicks < MISSED_HEARTBEATS) return;
    this.#report(new ConnectionError(`Watching ${this.#name}: the server's heartbeats stopped; watching anew.`));
    this.#renew();
  }

  #renew(): void {
    this.#discard();
    this.#recovery.start();
  }

  #discard(): void {
    const push = this.#push;
    if (push === undefined) return;
    this.#push = undefined;
    push.abandon();
    if (this.#connection.status !== 'connected') return;
    const removing = push
      .remove()
      .catch((error: unknown) => this.#report(toFlowError(`end the watch of ${this.#name}`, error)))
      .finally(() => this.#removing.delete(removing));
    this.#removing.add(removing);
  }

  #report(error: FlowError): void {
    if (this.#reported === error.message) return;
    this.#reported = error.message;
    this.#options.onError(error);
  }
}
