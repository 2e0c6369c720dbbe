import { rm } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../../../lib/common/errors.js';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';
import { connectTo, openRoom, Taker, type Room } from './stream-room.js';

/**
 * Waits until the server has taken up a request of the consumer. It tells those that the consumer is deleted;
 * one that it has only just received it forgets, and then the missing heartbeats tell.
 */
async function requestsStand(connection: FlowConnection, room: Room): Promise<void> {
  const waiting = async (): Promise<boolean> =>
    (await connection.manager.consumers.info(room.stream, room.consumer)).num_waiting > 0;
  await until(waiting, { what: 'a standing request' });
}

describe('a consumer that is deleted', () => {
  it('is made anew by recreate, and its messages go on', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection);
    let recreated = 0;
    await using taker = new Taker(connection, room, {
      recreate: async () => {
        recreated++;
        await room.addConsumer();
      },
    });
    await taker.consumer.start();
    await room.publish(10);
    await until(() => taker.deliveries.length === 10, { what: 'the first messages' });
    await requestsStand(connection, room);
    await connection.manager.consumers.delete(room.stream, room.consumer);
    await until(() => recreated === 1, { what: 'recreate' });
    await room.publish(10, 10);
    await until(() => taker.distinct.size === 20, { what: 'the messages after it' });
    await until(async () => (await room.ackPending()) === 0, { what: 'acknowledgements' });
    expect(recreated).toBe(1);
  });

  it('is noticed when no request was standing', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection);
    await room.publish(1);
    await using taker = new Taker(
      connection,
      room,
      { maxInFlight: 1, recreate: () => room.addConsumer() },
      () => undefined,
    );
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 1, { what: 'the message' });
    await connection.manager.consumers.delete(room.stream, room.consumer);
    await room.publish(1, 1);
    taker.consumer.release();
    await until(() => taker.deliveries.length === 2, { what: 'a message of the new consumer' });
  });

  it('without recreate is reported once, and taken up again when somebody makes it', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection);
    await using taker = new Taker(connection, room);
    await taker.consumer.start();
    await requestsStand(connection, room);
    await connection.manager.consumers.delete(room.stream, room.consumer);
    await until(() => taker.errors.length > 0, { what: 'the report' });
    expect(taker.errors[0]).toBeInstanceOf(NotFoundError);
    await room.addConsumer();
    await room.publish(3);
    await until(() => taker.deliveries.length === 3, { what: 'the messages' });
    expect(taker.errors).toHaveLength(1);
  });

  it('is noticed by the missing heartbeats when the server forgets to tell', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection);
    let recreated = 0;
    await using taker = new Taker(connection, room, {
      expiresMs: 3_000,
      recreate: async () => {
        recreated++;
        await room.addConsumer();
      },
    });
    await taker.consumer.start();
    // Both are written together: the request has just arrived when the consumer goes.
    await connection.manager.consumers.delete(room.stream, room.consumer);
    await until(() => recreated === 1, { what: 'recreate', timeoutMs: 15_000 });
    await room.publish(1);
    await until(() => taker.deliveries.length === 1, { what: 'the message' });
  });

  it('is made anew together with its stream', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection);
    await using taker = new Taker(connection, room, {
      recreate: async () => {
        await room.addStream();
        await room.addConsumer();
      },
    });
    await taker.consumer.start();
    await room.publish(5);
    await until(() => taker.deliveries.length === 5, { what: 'the first messages' });
    await requestsStand(connection, room);
    await connection.manager.streams.delete(room.stream);
    await requestsStand(connection, room);
    await room.publish(5, 5);
    await until(() => taker.distinct.size === 10, { what: 'the messages after it' });
  });

  it('survives a recreate that fails at first', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection);
    let attempts = 0;
    await using taker = new Taker(connection, room, {
      recreate: async () => {
        if (++attempts < 3) throw new Error('not today');
        await room.addConsumer();
      },
    });
    await taker.consumer.start();
    await requestsStand(connection, room);
    await connection.manager.consumers.delete(room.stream, room.consumer);
    await until(() => attempts === 3, { what: 'the third attempt' });
    await room.publish(1);
    await until(() => taker.deliveries.length === 1, { what: 'the message' });
    expect(taker.errors.map((error) => error.cause)).toMatchObject([{ message: 'not today' }]);
  });
});

describe('a lost connection', () => {
  it('is taken up again at once; everything is taken, and nothing stays unacknowledged', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using through = await connectTo(proxy);
    await using direct = await connectTo(server);
    const room = await openRoom(direct, { ackWaitMs: 1_000 });
    await using taker = new Taker(through, room, { maxInFlight: 50 });
    await taker.consumer.start();
    const publishing = (async () => {
      for (let first = 0; first < 5_000; first += 50) await room.publish(50, first);
    })();
    for (let cut = 1; cut <= 5; cut++) {
      await until(() => taker.distinct.size >= cut * 600, { what: 'some messages' });
      proxy.cut();
      await until(() => proxy.accepted > cut, { what: 'a new connection' });
    }
    await publishing;
    await until(() => taker.distinct.size === 5_000, { what: 'all messages' });
    await until(async () => (await room.ackPending()) === 0, { what: 'acknowledgements' });
    expect(proxy.accepted).toBe(6);
  });

  it('does not hold up stop', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using through = await connectTo(proxy);
    const room = await openRoom(through);
    const taker = new Taker(through, room);
    await taker.consumer.start();
    proxy.rejectNew(true);
    proxy.cut();
    await until(() => through.status === 'disconnected', { what: 'the loss' });
    const started = performance.now();
    await taker.consumer.stop();
    expect(performance.now() - started).toBeLessThan(1_000);
    proxy.rejectNew(false);
  });

  it('loses its requests silently: the missing heartbeats tell', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using through = await connectTo(proxy, { requestTimeout: 500 });
    const room = await openRoom(through);
    await using taker = new Taker(through, room, { expiresMs: 1_500 });
    await taker.consumer.start();
    proxy.dropRepliesAfter(0);
    await until(() => taker.errors.some((error) => error.message.includes('heartbeats stopped')), {
      what: 'the report',
      timeoutMs: 15_000,
    });
    proxy.restore();
    await until(() => proxy.accepted > 1, { what: 'a new connection' });
    await until(() => taker.consumer.outstanding > 0, { what: 'new requests' });
    await room.publish(1);
    await until(() => taker.deliveries.length === 1, { what: 'the message' });
  });
});

describe('a request that the server does not take', () => {
  it('is repeated until it does', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection, { max_waiting: 1 });
    await using first = new Taker(connection, room, { expiresMs: 1_500, maxInFlight: 4 });
    await first.consumer.start();
    await until(() => first.consumer.outstanding === 4, { what: 'the first request' });
    await using second = new Taker(connection, room, { expiresMs: 1_500, maxInFlight: 4 });
    await second.consumer.start();
    await first.consumer.stop();
    await room.publish(10);
    await until(() => second.deliveries.length === 10, { what: 'the messages', timeoutMs: 20_000 });
  });
});

describe('a server that is killed', () => {
  it('and comes back with the same store: everything is taken and acknowledged', async (context) => {
    await using server = await EmbeddedNatsServer.start();
    needsServer(context, server, '2.10', 'Keeping the place of a consumer over a SIGKILL');
    await using connection = await connectTo(server);
    const room = await openRoom(connection, { ackWaitMs: 1_000 });
    await room.publish(6_000);
    await using taker = new Taker(connection, room, { maxInFlight: 20 }, (delivery, done) => {
      setImmediate(() => {
        delivery.ack();
        done();
      });
    });
    await taker.consumer.start();
    for (let kill = 1; kill <= 3; kill++) {
      await until(() => taker.distinct.size >= kill * 500, { what: 'some messages' });
      await server.kill();
      await server.restart();
    }
    await until(() => taker.distinct.size === 6_000, { what: 'all messages', timeoutMs: 20_000 });
    await until(async () => (await room.ackPending()) === 0, { what: 'acknowledgements', timeoutMs: 20_000 });
  });

  it('and comes back without its store: recreate makes stream and consumer', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using connection = await connectTo(server);
    const room = await openRoom(connection, {}, { storage: 'memory' });
    await using taker = new Taker(connection, room, {
      recreate: async () => {
        await room.addStream();
        await room.addConsumer();
      },
    });
    await taker.consumer.start();
    await room.publish(5);
    await until(() => taker.deliveries.length === 5, { what: 'the first messages' });
    await server.kill();
    await rm(server.storeDir ?? '', { recursive: true });
    await server.restart();
    await until(() => connection.status === 'connected', { what: 'the connection' });
    await until(() => taker.consumer.outstanding > 0, { what: 'new requests' });
    await requestsStand(connection, room);
    await room.publish(5, 5);
    await until(() => taker.deliveries.length === 10, { what: 'the messages after it' });
  });
});
