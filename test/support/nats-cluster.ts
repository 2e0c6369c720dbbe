import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';

/** Three private servers that form a cluster; the ports of their routes are free ones. */
export class NatsCluster implements AsyncDisposable {
  private constructor(readonly servers: readonly EmbeddedNatsServer[]) {}

  /** Resolves when the servers take connections; a leader may not be elected yet. */
  static async start(): Promise<NatsCluster> {
    const ports = await freePorts(3);
    const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
    const servers = await Promise.all(
      routes.map((route, at) =>
        EmbeddedNatsServer.start({
          args: ['-n', `server-${at}`, '--cluster_name', 'test', '--cluster', route, '--routes', routes.join()],
        }),
      ),
    );
    return new NatsCluster(servers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

/** Held together until all are known, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((listener) => once(listener, 'listening')));
  const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => once(listener.close(), 'close')));
  return ports;
}
