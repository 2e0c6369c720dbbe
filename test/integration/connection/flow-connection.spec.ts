import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { CancelledError, ConfigurationError, ConnectionError } from '../../../lib/common/errors.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { recordingLog, silentLog } from '../../support/log.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { until } from '../../support/until.js';

const small = new TextEncoder().encode('x');

/** A port nobody listens on any more. */
async function freePort(): Promise<number> {
  await using server = await EmbeddedNatsServer.start({ jetstream: false });
  return server.port;
}

describe('FlowConnection', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
  });

  afterAll(() => server.stop());

  it('connects under its name and says so in one line', async () => {
    const log = recordingLog();
    await using connection = await FlowConnection.connect({ servers: server.url, name: 'shop' }, log);
    expect(log.messages()).toEqual([
      `Connected to NATS at 127.0.0.1:${server.port} (nats-server ${server.version}) as "shop".`,
    ]);
    expect(connection.status).toBe('connected');
    expect(connection.name).toBe('shop');
    expect(connection.apiPrefix).toBe('$JS.API');
    expect(connection.capabilities.version).toBe(server.version);
    expect(await connection.ping()).toBeGreaterThan(0);
    await connection.close();
    expect(log.messages().slice(1)).toEqual(['Connection "shop" to NATS closed.']);
  });

  it('rejects options with problems before it connects', async () => {
    const connecting = FlowConnection.connect({ servers: 'ws://a', publishTimeout: 0 }, silentLog);
    await expect(connecting).rejects.toBeInstanceOf(ConfigurationError);
    await expect(connecting).rejects.toMatchObject({ problems: { length: 2 } });
  });

  describe('when no server is there at boot', () => {
    it('fails at once if asked to, naming the servers and the remedy', async () => {
      const port = await freePort();
      const servers = [`nats://127.0.0.1:${port}`, `nats://me:hunter2@localhost:${port}`];
      const connecting = FlowConnection.connect({ servers, whenAbsent: 'fail' }, silentLog);
      await expect(connecting).rejects.toBeInstanceOf(ConnectionError);
      await expect(connecting).rejects.toThrow(
        `NATS at 127.0.0.1:${port}, localhost:${port} is not reachable: connection refused. ` +
          'Start nats-server, or let "servers" (NATS_URL) say where it runs.',
      );
    });

    it('waits for it, saying so once, and goes on when it comes', async () => {
      const port = await freePort();
      const log = recordingLog();
      const connecting = FlowConnection.connect({ servers: `127.0.0.1:${port}`, reconnectWait: 20 }, log);
      await until(() => log.lines.length > 0, { what: 'the first line' });
      await using late = await EmbeddedNatsServer.start({ port });
      await using connection = await connecting;
      expect(connection.status).toBe('connected');
      expect(late.port).toBe(port);
      expect(log.messages('warn')).toEqual([
        expect.stringMatching(new RegExp(`127.0.0.1:${port} is not reachable: connection refused.*Waiting for it.$`)),
      ]);
    });

    it('waits no longer than it may', async () => {
      const servers = `127.0.0.1:${await freePort()}`;
      const started = performance.now();
      const connecting = FlowConnection.connect({ servers, waitAtMost: 200, reconnectWait: 30 }, silentLog);
      await expect(connecting).rejects.toThrow(/not reachable.*Waited 200 ms for it \(waitAtMost\)/);
      expect(performance.now() - started).toBeLessThan(2_000);
    });

    it('stops waiting by signal', async () => {
      const servers = `127.0.0.1:${await freePort()}`;
      const abort = new AbortController();
      const log = recordingLog();
      const connecting = FlowConnection.connect({ servers }, log, abort.signal);
      await until(() => log.lines.length > 0, { what: 'the wait to begin' });
      abort.abort(new Error('shutting down'));
      await expect(connecting).rejects.toBeInstanceOf(CancelledError);
    });

    it('says that the host is unknown', async () => {
      const connecting = FlowConnection.connect({ servers: 'no-such-host.invalid', whenAbsent: 'fail' }, silentLog);
      await expect(connecting).rejects.toThrow(/unknown host/);
    });
  });

  describe('when the server has no JetStream', () => {
    it('fails if asked to, and waits otherwise', async () => {
      await using plain = await EmbeddedNatsServer.start({ jetstream: false });
      await using proxy = await CuttingProxy.start(plain);
      const options = { servers: proxy.url, connectTimeout: 300 };
      const failing = FlowConnection.connect({ ...options, whenAbsent: 'fail' }, silentLog);
      await expect(failing).rejects.toThrow(/JetStream does not answer at .*Start nats-server with JetStream/);
      const waiting = FlowConnection.connect({ ...options, waitAtMost: 300 }, silentLog);
      await expect(waiting).rejects.toThrow(/JetStream does not answer.*Waited 300 ms/);
      expect(proxy.accepted).toBe(2);
      await until(() => proxy.open === 0, { what: 'both connections to be closed' });
    });

    it('names the domain nobody serves', async () => {
      const options = { servers: server.url, domain: 'moon', whenAbsent: 'fail', connectTimeout: 300 } as const;
      await expect(FlowConnection.connect(options, silentLog)).rejects.toThrow('domain "moon"');
    });
  });

  it('tells each transition once, to log and listeners, and counts', async () => {
    const log = recordingLog();
    await using own = await EmbeddedNatsServer.start();
    const connection = await FlowConnection.connect({ servers: own.url, name: 'c', reconnectWait: 20 }, log);
    const seen: string[] = [];
    connection.onStatus(() => {
      throw new Error('a listener of no use');
    });
    const unlisten = connection.onStatus((status) => seen.push(status));
    const silenced: string[] = [];
    connection.onStatus((status) => silenced.push(status))();
    for (let round = 0; round < 2; round++) {
      await own.kill();
      await until(() => connection.status === 'disconnected', { what: 'the loss' });
      await own.restart();
      await until(() => connection.status === 'connected', { what: 'the return' });
    }
    await connection.close();
    unlisten();
    expect(seen).toEqual(['disconnected', 'connected', 'disconnected', 'connected', 'closed']);
    expect(silenced).toEqual([]);
    expect(log.messages('warn').filter((line) => line.includes('lost; reconnecting'))).toHaveLength(2);
    expect(log.messages('log').filter((line) => line.includes('is back after'))).toHaveLength(2);
    expect(log.messages('error').filter((line) => line.includes('listener of no use'))).toHaveLength(5);
    expect(await connection.health()).toMatchObject({ healthy: false, status: 'closed', disconnects: 2 });
  });

  it('looks at the capabilities anew when the server was replaced', async (context) => {
    needsOldServer(context);
    const log = recordingLog();
    const old = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    await using connection = await FlowConnection.connect({ servers: old.url, reconnectWait: 20 }, log);
    const { port } = old;
    expect(connection.capabilities).toMatchObject({ version: old.version, messageTtl: false });
    await old.stop();
    await using replacement = await EmbeddedNatsServer.start({ port });
    await until(() => connection.status === 'connected', { what: 'the connection to the new server' });
    expect(connection.capabilities.version).toBe(replacement.version);
    if (replacement.version === old.version) return;
    expect(log.messages('log').at(-1)).toContain(`nats-server ${replacement.version}`);
  });

  it('tells how it fares', async () => {
    await using own = await EmbeddedNatsServer.start();
    await using connection = await FlowConnection.connect({ servers: own.url, reconnectWait: 20 }, silentLog);
    expect(await connection.health()).toEqual({
      healthy: true,
      status: 'connected',
      server: `127.0.0.1:${own.port}`,
      serverVersion: own.version,
      rttMs: expect.any(Number) as number,
      disconnects: 0,
      publishesInFlight: 0,
    });
    await own.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss' });
    expect(await connection.health()).toMatchObject({ healthy: false, status: 'disconnected', disconnects: 1 });
    await expect(connection.ping()).rejects.toBeInstanceOf(ConnectionError);
    await expect(connection.flush()).rejects.toThrow('is disconnected');
  });

  it('closes while the server is away, several times', async () => {
    await using own = await EmbeddedNatsServer.start();
    const connection = await FlowConnection.connect({ servers: own.url }, silentLog);
    await own.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss' });
    await Promise.all([connection.close(), connection.close()]);
    expect(connection.status).toBe('closed');
    expect(connection.nats.isClosed()).toBe(true);
  });

  it('lets publishes end before it closes', async () => {
    const connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    await connection.manager.streams.add({ name: 'last', subjects: ['last'] });
    const publishes = Array.from({ length: 300 }, () => connection.publisher.publish('last', small));
    await connection.close();
    expect((await Promise.all(publishes)).at(-1)).toMatchObject({ sequence: 300 });
  });

  it("works on the application's own connection and leaves it open", async () => {
    const log = recordingLog();
    await using nats = await connectForTest(server);
    const before = nats.getServer();
    const connection = await FlowConnection.connect({ connection: nats, name: 'borrowed' }, log);
    expect(connection.nats).toBe(nats);
    await connection.manager.streams.add({ name: 'borrowed', subjects: ['borrowed'] });
    expect(await connection.publisher.publish('borrowed', small)).toMatchObject({ sequence: 1 });
    await connection.close();
    expect(connection.status).toBe('closed');
    await expect(connection.publisher.publish('borrowed', small)).rejects.toBeInstanceOf(ConnectionError);
    expect(nats.isClosed()).toBe(false);
    await nats.flush();
    expect(nats.getServer()).toBe(before);
    // A second one on the same connection, after the first was closed.
    await using again = await FlowConnection.connect({ connection: nats }, log);
    expect(await again.publisher.publish('borrowed', small)).toMatchObject({ sequence: 2 });
  });

  it('refuses a connection that is closed, and notices when the application closes it', async () => {
    const log = recordingLog();
    const nats = await connectForTest(server);
    await using connection = await FlowConnection.connect({ connection: nats }, log);
    await nats.close();
    await until(() => connection.status === 'closed', { what: 'the close to be noticed' });
    expect(log.messages('error')).toEqual([expect.stringContaining('closed for good')]);
    await expect(FlowConnection.connect({ connection: nats }, log)).rejects.toThrow('is closed');
  });

  it('leaves a server that is about to shut down, when it knows another', async () => {
    const log = recordingLog();
    await using one = await EmbeddedNatsServer.start();
    await using other = await EmbeddedNatsServer.start();
    const servers = [one.url, other.url];
    await using connection = await FlowConnection.connect({ servers, reconnectWait: 20 }, log);
    const [left, stays] = connection.nats.getServer().endsWith(`:${one.port}`) ? [one, other] : [other, one];
    // The signal for "lame duck mode".
    process.kill(left.pid!, 'SIGUSR2');
    await until(() => connection.nats.getServer().endsWith(`:${stays.port}`) && connection.status === 'connected', {
      what: 'the move to the other server',
    });
    expect(await connection.health()).toMatchObject({ healthy: true, disconnects: 1 });
    expect(log.messages('warn').join()).toContain('is about to shut down; moving to another one');
    await left.kill();
  });
});
