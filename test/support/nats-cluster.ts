import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { jetstreamManager } from '@nats-io/jetstream';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { connectForTest } from './connect-for-test.js';
import { until } from './until.js';

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

  /** Resolves when a leader is elected, and knows so many servers that it places streams with a replica on each. */
  async whenReplicating(timeoutMs: number): Promise<void> {
    const [server] = this.servers;
    await using nats = await connectForTest(server!);
    const probe = { name: 'PROBE', subjects: ['probe'], num_replicas: this.servers.length };
    const manager = await until(() => jetstreamManager(nats, { timeout: 1_000 }), { what: 'a leader', timeoutMs });
    await until(() => manager.streams.add(probe), { what: 'a stream with all replicas', timeoutMs });
    await manager.streams.delete(probe.name);
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
