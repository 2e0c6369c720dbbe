import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import type { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';

/** A plain client connection to `server`, beside the library; closed when it goes out of scope. */
export async function connectForTest(
  server: Pick<EmbeddedNatsServer, 'url'>,
  options: NodeConnectionOptions = {},
): Promise<NatsConnection & AsyncDisposable> {
  const connection = await connect({ servers: server.url, name: 'test', ...options });
  return Object.assign(connection, { [Symbol.asyncDispose]: () => connection.close() });
}
