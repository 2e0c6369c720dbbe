import { AckPolicy, StorageType, type ConsumerConfig, type StreamConfig } from '@nats-io/jetstream';
import { nuid } from '@nats-io/transport-node';
import type { FlowError } from '../../../lib/common/errors.js';
import type { ConnectionOptions } from '../../../lib/connection/connection.options.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { Delivery } from '../../../lib/stream/delivery.js';
import { PullConsumer, type PullConsumerOptions } from '../../../lib/stream/pull-consumer.js';
import { silentLog } from '../../support/log.js';

const NANOS_PER_MS = 1_000_000;

/** Connects as the library does, coming back quickly after a loss. */
export function connectTo(server: { readonly url: string }, options: ConnectionOptions = {}): Promise<FlowConnection> {
  return FlowConnection.connect({ servers: server.url, reconnectWait: 50, ...options }, silentLog);
}

/** A stream with a durable consumer, both with names of their own. */
export interface Room {
  readonly stream: string;
  readonly consumer: string;
  /** Subject of number `n`; the stream takes all of `<stream>.>`. */
  readonly subject: (n: number) => string;
  /** Publishes numbers from `first` on, one message each. */
  publish(count: number, first?: number): Promise<void>;
  addConsumer(): Promise<void>;
  addStream(): Promise<void>;
  ackPending(): Promise<number>;
}

/** Makes a stream and a durable pull consumer on it. */
export async function openRoom(
  connection: FlowConnection,
  config: Partial<ConsumerConfig> & { ackWaitMs?: number } = {},
  streamConfig: Partial<StreamConfig> = {},
): Promise<Room> {
  const { ackWaitMs = 60_000, ...consumerConfig } = config;
  const stream = `S${nuid.next()}`;
  const consumer = 'worker';
  const { manager, publisher } = connection;
  const room: Room = {
    stream,
    consumer,
    subject: (n) => `${stream}.${n}`,
    async publish(count, first = 0) {
      const numbers = Array.from({ length: count }, (_, index) => first + index);
      await Promise.all(
        numbers.map((n) =>
          publisher.publish(room.subject(n), new TextEncoder().encode(String(n)), { messageId: `${stream}-${n}` }),
        ),
      );
    },
    async addStream() {
      await manager.streams.add({
        name: stream,
        subjects: [`${stream}.>`],
        storage: StorageType.File,
        ...streamConfig,
      });
    },
    async addConsumer() {
      await manager.consumers.add(stream, {
        durable_name: consumer,
        ack_policy: AckPolicy.Explicit,
        ack_wait: ackWaitMs * NANOS_PER_MS,
        ...consumerConfig,
      });
    },
    async ackPending() {
      return (await manager.consumers.info(stream, consumer)).num_ack_pending;
    },
  };
  await room.addStream();
  await room.addConsumer();
  return room;
}

/** A PullConsumer that keeps what it gets. */
export class Taker implements AsyncDisposable {
  readonly deliveries: Delivery[] = [];
  readonly errors: FlowError[] = [];
  readonly consumer: PullConsumer;

  constructor(
    connection: FlowConnection,
    room: Pick<Room, 'stream' | 'consumer'>,
    options: Partial<PullConsumerOptions> = {},
    /** Called for each delivery, with the way to end it. */
    handle: (delivery: Delivery, done: () => void) => void = (delivery, done) => {
      delivery.ack();
      done();
    },
  ) {
    this.consumer = new PullConsumer(connection, {
      stream: room.stream,
      consumer: room.consumer,
      maxInFlight: 100,
      onError: (error) => this.errors.push(error),
      onMessage: (delivery) => {
        this.deliveries.push(delivery);
        handle(delivery, () => this.consumer.release());
      },
      ...options,
    });
  }

  /** Numbers received, in the order of arrival, redeliveries too. */
  get numbers(): number[] {
    return this.deliveries.map(numberOf);
  }

  /** Different numbers received. */
  get distinct(): Set<number> {
    return new Set(this.numbers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.consumer.stop();
  }
}

/** The number that the room published. */
export function numberOf({ subject }: { readonly subject: string }): number {
  return Number(subject.slice(subject.lastIndexOf('.') + 1));
}

/** 0, 1, 2 … count-1. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
