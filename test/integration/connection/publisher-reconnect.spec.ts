import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConnectionError, PublishTimeoutError, WrongLastSequenceError } from '../../../lib/common/errors.js';
import type { ConnectionOptions } from '../../../lib/connection/connection.options.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';

const small = new TextEncoder().encode('x');
const STREAM = 'S';

describe('Publisher over a connection that breaks', () => {
  let server: EmbeddedNatsServer;
  let direct: FlowConnection;

  beforeEach(async () => {
    server = await EmbeddedNatsServer.start();
    direct = await connect(server);
    await direct.manager.streams.add({ name: STREAM, subjects: ['s.>'] });
  });

  afterEach(async () => {
    await direct.close();
    await server.stop();
  });

  function connect(to: { readonly url: string }, options: ConnectionOptions = {}): Promise<FlowConnection> {
    return FlowConnection.connect({ servers: to.url, reconnectWait: 20, ...options }, silentLog);
  }

  async function stored(): Promise<number> {
    // Its own connection may still be on its way back.
    await until(() => direct.status === 'connected', { what: "the test's connection" });
    return (await direct.manager.streams.info(STREAM)).state.messages;
  }

  it.each([{ expected: true }, { expected: false }])(
    'stores each of 20,000 publishes exactly once over kill and restart of the server (by expected sequence: $expected)',
    async ({ expected }) => {
      await using connection = await connect(server, { publishTimeout: '60s' });
      const count = 20_000;
      let done = 0;
      let repeated = 0;
      let ownWrites = 0;
      const publish = async (n: number): Promise<void> => {
        try {
          const options = expected ? { expectLastSubjectSequence: 0 } : { messageId: `m${n}` };
          const result = await connection.publisher.publish(`s.${n}`, small, options);
          if (result.repeated) repeated++;
        } catch (error) {
          // The only conflict there can be is with an earlier attempt of the same publish.
          if (!(error instanceof WrongLastSequenceError) || !error.repeated) throw error;
          ownWrites++;
        }
        done++;
      };
      const publishes: Promise<void>[] = [];
      const begin = (upTo: number): void => {
        while (publishes.length < upTo) publishes.push(publish(publishes.length));
      };
      begin(8_000);
      for (const upTo of [14_000, count]) {
        await until(() => done > publishes.length / 2, { what: 'half of the publishes', intervalMs: 1 });
        // Under way when the server dies, however fast it has answered so far.
        begin(upTo);
        await server.kill();
        await server.restart();
      }
      await Promise.all(publishes);
      expect(done).toBe(count);
      expect(await stored()).toBe(count);
      expect(repeated + ownWrites).toBeGreaterThan(0);
      expect((await direct.manager.streams.info(STREAM)).state.num_subjects).toBe(count);
    },
    120_000,
  );

  it('recognises its own write when the connection is cut after the server stored', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using connection = await connect(proxy);
    const { publisher } = connection;
    await publisher.publish('s.warm', small);
    proxy.dropRepliesAfter(0);
    const byId = publisher.publish('s.id', small, { messageId: 'one' });
    const bySequence = publisher.publish('s.sequence', small, { expectLastSubjectSequence: 0 });
    await until(async () => (await stored()) === 3, { what: 'the server to store both' });
    proxy.restore();
    expect(await byId).toEqual({ stream: STREAM, sequence: 2, duplicate: true, repeated: true });
    await expect(bySequence).rejects.toMatchObject({ apiCode: 10071, repeated: true, lastSequence: 3 });
    expect(await stored()).toBe(3);
  });

  it('fails what it may not repeat, and says that the outcome is unknown', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using connection = await connect(proxy);
    proxy.dropRepliesAfter(0);
    const publish = connection.publisher.publish('s.once', small);
    await until(async () => (await stored()) === 1, { what: 'the server to store it' });
    proxy.restore();
    await expect(publish).rejects.toBeInstanceOf(ConnectionError);
    await expect(publish).rejects.toThrow(/"s.once".*not known.*messageId/);
    expect(await stored()).toBe(1);
  });

  it('repeats after silence on a connection that stands', async () => {
    await using connection = await connect(server);
    let requests = 0;
    await using other = await connect(server);
    other.nats.subscribe('hard.of.hearing', {
      callback: (_error, message) => {
        if (++requests > 1) message.respond('{"stream":"fake","seq":7}');
      },
    });
    await other.flush();
    const options = { messageId: 'one', timeoutMs: 1_000 };
    const result = await connection.publisher.publish('hard.of.hearing', small, options);
    expect(result).toEqual({ stream: 'fake', sequence: 7, duplicate: false, repeated: true });
    expect(requests).toBe(2);
  });

  it('says of what is refused at a repetition that an earlier attempt may be stored', async () => {
    await using connection = await connect(server);
    let requests = 0;
    await using other = await connect(server);
    other.nats.subscribe('hard.to.please', {
      callback: (_error, message) => {
        if (++requests > 1) message.respond('{"error":{"err_code":10023,"description":"insufficient resources"}}');
      },
    });
    await other.flush();
    const options = { expectLastSubjectSequence: 0, timeoutMs: 1_000 };
    const again = connection.publisher.publish('hard.to.please', small, options);
    await expect(again).rejects.toMatchObject({ apiCode: 10_023, repeated: true });
    await expect(again).rejects.toThrow('may be stored');
    const once = connection.publisher.publish('hard.to.please', small, options);
    await expect(once).rejects.toMatchObject({ apiCode: 10_023, repeated: false });
  });

  it('holds publishes back while disconnected and sends each once, in order', async () => {
    await using connection = await connect(server, { maxPublishesInFlight: 8 });
    await server.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss to be noticed' });
    const publishes = Array.from({ length: 50 }, (_, n) => connection.publisher.publish(`s.${n}`, small));
    expect(connection.publisher.inFlight).toBe(8);
    expect(connection.publisher.waiting).toBe(42);
    await server.restart();
    const results = await Promise.all(publishes);
    expect(results.map(({ sequence }) => sequence)).toEqual(results.map((_, n) => n + 1));
    expect(results.some(({ repeated }) => repeated)).toBe(false);
  });

  it('fails what waited for a connection in vain, at its timeout, and says that nothing was sent', async () => {
    await using connection = await connect(server);
    await server.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss to be noticed' });
    const options = { timeoutMs: 150 };
    const one = connection.publisher.publish('s.a', small, options);
    const other = connection.publisher.publish('s.b', small, { ...options, messageId: '1' });
    await expect(one).rejects.toThrow(/Not connected.*"s.a".*not sent/);
    await expect(other).rejects.toBeInstanceOf(ConnectionError);
    await server.restart();
    await until(() => connection.status === 'connected', { what: 'the connection to come back' });
    await connection.publisher.publish('s.c', small);
    expect(await stored()).toBe(1);
  });

  it('times out what was sent and could not be repeated in time', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using connection = await connect(proxy);
    proxy.dropRepliesAfter(0);
    const publish = connection.publisher.publish('s.a', small, { messageId: '1', timeoutMs: 300 });
    await until(async () => (await stored()) === 1, { what: 'the server to store it' });
    proxy.rejectNew(true);
    proxy.cut();
    await expect(publish).rejects.toBeInstanceOf(PublishTimeoutError);
    proxy.restore();
  });

  it('fails everything when the connection closes for good', async () => {
    await using connection = await connect(server, {
      maxReconnectAttempts: 5,
      reconnectWait: 100,
      maxPublishesInFlight: 2,
    });
    await server.kill();
    await until(() => connection.status === 'disconnected', { what: 'the loss to be noticed' });
    const publishes = Array.from({ length: 5 }, (_, n) =>
      connection.publisher.publish(`s.${n}`, small, { messageId: `${n}` }),
    );
    for (const publish of publishes) await expect(publish).rejects.toThrow('closed');
    expect(connection.status).toBe('closed');
    await expect(connection.publisher.publish('s.a', small)).rejects.toBeInstanceOf(ConnectionError);
    await server.restart();
  });

  it('stops waiting for publishes when the close has a time limit', async () => {
    await using proxy = await CuttingProxy.start(server);
    const connection = await connect(proxy);
    proxy.dropRepliesAfter(0);
    const publish = connection.publisher.publish('s.a', small, { messageId: '1' });
    const failure = publish.catch((error: unknown) => error);
    const started = performance.now();
    proxy.rejectNew(true);
    proxy.cut();
    await connection.close(100);
    expect(await failure).toBeInstanceOf(ConnectionError);
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
