import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';

/** What {@link TestStreams.publish} sends beside the payload. */
export interface TestMessage {
  /** `Nats-Msg-Id`. */
  readonly id?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** JetStream as another program sees it, beside the library: to publish from outside and to look into streams. */
export class TestStreams implements AsyncDisposable {
  private constructor(
    readonly nats: NatsConnection,
    readonly manager: JetStreamManager,
    private readonly client: JetStreamClient,
  ) {}

  static async connect({ url }: { readonly url: string }): Promise<TestStreams> {
    const nats = await connect({ servers: url, name: 'test', maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    return new TestStreams(nats, await jetstreamManager(nats, { timeout: 20_000 }), jetstream(nats));
  }

  /** Publishes bytes as they are, anything else as JSON. @returns the sequence. */
  async publish(subject: string, payload: unknown, message: TestMessage = {}): Promise<number> {
    const fields = headers();
    for (const [name, value] of Object.entries(message.headers ?? {})) fields.set(name, value);
    const data = payload instanceof Uint8Array ? payload : JSON.stringify(payload);
    const options = { headers: fields, timeout: 20_000, ...(message.id !== undefined && { msgID: message.id }) };
    return (await this.client.publish(subject, data, options)).seq;
  }

  /** The subjects of a stream that match `filter`, each with its number of messages. */
  async subjects(stream: string, filter: string): Promise<Map<string, number>> {
    const { state } = await this.manager.streams.info(stream, { subjects_filter: filter });
    return new Map(Object.entries(state.subjects ?? {}));
  }

  /** Messages of a consumer that are not delivered or not acknowledged. */
  async unfinished(stream: string, consumer: string): Promise<number> {
    const info = await this.manager.consumers.info(stream, consumer);
    return info.num_pending + info.num_ack_pending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nats.close();
  }
}
