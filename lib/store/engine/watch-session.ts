import { AckPolicy, DeliverPolicy, ReplayPolicy, type ConsumerConfig } from '@nats-io/jetstream';
import { createInbox, nanos, nuid, type Msg, type Subscription } from '@nats-io/transport-node';
import { readDeliveryInfo } from '../../connection/delivery-info.js';
import type { BucketLayout } from './bucket-layout.js';
import { ApiCode, askBucket, bucketRequest, isPassing, isRefusal } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';
import { toRevision, type StoredRevision } from './stored-entry.js';

const HEARTBEAT_MS = 3_000;
/** The server removes the consumer by itself when we are gone this long. */
const INACTIVE_MS = 30_000;
/** Status of the server's own messages on a delivery subject: heartbeats and flow control. */
const CONTROL = 100;

/** Where a session begins. */
export type WatchStart =
  { readonly kind: 'last' } | { readonly kind: 'history' } | { readonly kind: 'after'; readonly revision: number };

export interface WatchSessionOptions {
  readonly filter: string;
  readonly start: WatchStart;
  /** Each revision in order. */
  onRevision(key: string, revision: StoredRevision): void;
  /** Nothing waits on the server. May be called often. */
  onIdle(): void;
  /** Asked now and then: what to wait for before the server goes on. Up to about 32 MB per watch are on the way without asking. */
  room?(): Promise<void> | undefined;
  /** Something was missed: this session is at its end, another one has to go on. Called at most once. */
  onBroken(reason: string): void;
}

/**
 * One ordered push consumer on a bucket, from its creation until something is missed: a hole in the delivered
 * sequence, or silence. It does not heal; it notices.
 */
export class WatchSession {
  private readonly name = `watch_${nuid.next()}`;
  private readonly subscription: Subscription;
  private readonly timer: NodeJS.Timeout;
  private delivered = 0;
  private lastSign = performance.now();
  private ended = false;
  /** What the server waits for, while there is no room. */
  private holding: string | undefined;

  private constructor(
    private readonly connection: StoreConnection,
    private readonly layout: BucketLayout,
    private readonly options: WatchSessionOptions,
    deliverSubject: string,
  ) {
    this.subscription = connection.nats.subscribe(deliverSubject, {
      callback: (error, message) => this.receive(error, message),
    });
    this.timer = setInterval(() => this.checkSilence(), HEARTBEAT_MS).unref();
  }

  /** When it resolves the server has the consumer. */
  static async open(
    connection: StoreConnection,
    layout: BucketLayout,
    options: WatchSessionOptions,
  ): Promise<WatchSession> {
    const deliverSubject = createInbox(connection.inboxPrefix);
    const session = new WatchSession(connection, layout, options, deliverSubject);
    try {
      await askBucket(connection, `watch bucket "${layout.bucket}"`, () =>
        connection.manager.consumers.add(layout.stream, consumerConfig(session.name, deliverSubject, options)),
      );
      return session;
    } catch (error) {
      // Whether the server made the consumer is not known when the answer is missing.
      await session.close();
      throw error;
    }
  }

  /** Ends it and removes its consumer from the server, or leaves that to the server when it is not reachable. */
  async close(): Promise<void> {
    this.end();
    if (this.connection.status !== 'connected') return;
    try {
      await bucketRequest('end a watch', () => this.connection.manager.consumers.delete(this.layout.stream, this.name));
    } catch (error) {
      const gone = isRefusal(error, ApiCode.consumerNotFound) || isRefusal(error, ApiCode.streamNotFound);
      if (!gone && !isPassing(error)) throw error;
    }
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.timer);
    if (!this.subscription.isClosed()) this.subscription.unsubscribe();
  }

  private broken(reason: string): void {
    if (this.ended) return;
    this.end();
    this.options.onBroken(reason);
  }

  private receive(error: Error | null, message: Msg): void {
    if (this.ended) return;
    if (error !== null) return this.broken(error.message);
    this.lastSign = performance.now();
    if (message.headers?.code === CONTROL) return this.control(message);
    const { consumerSequence, streamSequence, timeMs } = readDeliveryInfo(message.reply ?? '');
    if (consumerSequence !== this.delivered + 1) return this.broken('a revision was missed');
    this.delivered = consumerSequence;
    const key = this.layout.keyOf(message.subject);
    // The client reuses its receive buffer; the revision is kept.
    const data = message.data.slice();
    const { headers } = message;
    const revision = toRevision({ sequence: streamSequence, data, time: new Date(timeMs), headers });
    this.options.onRevision(key, { ...revision, headers });
  }

  private control(message: Msg): void {
    const { reply = '' } = message;
    const stalled = message.headers?.get('Nats-Consumer-Stalled') ?? '';
    const flowControl = reply === '' ? stalled : reply;
    if (flowControl !== '') this.goOn(flowControl);
    const last = Number(message.headers?.get('Nats-Last-Consumer') ?? '');
    if (last > this.delivered) this.broken('a revision was missed');
    // Heartbeats are sent when there is nothing else to send.
    else if (flowControl === '') this.options.onIdle();
  }

  /** Has the server send more. It waits for that, and tells where it does so with every heartbeat meanwhile. */
  private goOn(flowControl: string): void {
    if (this.holding === flowControl) return;
    const room = this.options.room?.();
    if (room === undefined) {
      this.connection.nats.publish(flowControl);
      return;
    }
    this.holding = flowControl;
    void room.then(() => {
      this.holding = undefined;
      if (!this.ended && !this.connection.nats.isClosed()) this.goOn(flowControl);
    });
  }

  private checkSilence(): void {
    if (this.connection.status === 'connected' && performance.now() - this.lastSign > 2 * HEARTBEAT_MS)
      this.broken('the server is silent');
  }
}

function consumerConfig(
  name: string,
  deliverSubject: string,
  { filter, start }: WatchSessionOptions,
): Partial<ConsumerConfig> {
  const policy: Partial<ConsumerConfig> =
    start.kind === 'after'
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: start.revision + 1 }
      : { deliver_policy: start.kind === 'last' ? DeliverPolicy.LastPerSubject : DeliverPolicy.All };
  return {
    name,
    deliver_subject: deliverSubject,
    filter_subject: filter,
    ...policy,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    max_deliver: 1,
    flow_control: true,
    idle_heartbeat: nanos(HEARTBEAT_MS),
    inactive_threshold: nanos(INACTIVE_MS),
    mem_storage: true,
    num_replicas: 1,
  };
}
