import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { until } from '../../support/until.js';
import { connectTo, openRoom, Taker, upTo } from './stream-room.js';

let server: EmbeddedNatsServer;
let connection: FlowConnection;

beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
  connection = await connectTo(server);
});

afterAll(async () => {
  await connection.close();
  await server.stop();
});

/** Lets the event loop go round once. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('pause', () => {
  it('asks for nothing, hands back what was underway, and goes on after resume', async () => {
    const room = await openRoom(connection);
    await using taker = new Taker(connection, room);
    await taker.consumer.start();
    await room.publish(10);
    await until(() => taker.deliveries.length === 10, { what: 'the first messages' });
    taker.consumer.pause();
    expect(taker.consumer.outstanding).toBe(0);
    await room.publish(10, 10);
    // Another instance gets them all at once: none is held by the paused one.
    await using other = new Taker(connection, room);
    await other.consumer.start();
    await until(() => other.deliveries.length === 10, { what: 'the other instance', timeoutMs: 5_000 });
    await other.consumer.stop();
    expect(taker.deliveries).toHaveLength(10);
    await room.publish(10, 20);
    taker.consumer.resume();
    await until(() => taker.deliveries.length === 20, { what: 'the messages after resume' });
    expect(taker.numbers.slice(10)).toEqual(upTo(10).map((n) => n + 20));
  });

  it('survives being called back and forth under load', async () => {
    const room = await openRoom(connection);
    await room.publish(3_000);
    await using taker = new Taker(connection, room, { maxInFlight: 50 });
    await taker.consumer.start();
    for (let turn = 0; turn < 30; turn++) {
      taker.consumer.pause();
      await nextTurn();
      taker.consumer.resume();
      for (let turn = 0; turn < 5; turn++) await nextTurn();
    }
    await until(() => taker.distinct.size === 3_000, { what: 'all messages' });
    await until(async () => (await room.ackPending()) === 0, { what: 'acknowledgements' });
  });
});

describe('stop', () => {
  it('lets others take at once what was underway, again and again under load', async () => {
    const room = await openRoom(connection);
    await room.publish(5_000);
    const seen = new Set<number>();
    for (let round = 0; round < 25; round++) {
      const taker = new Taker(connection, room, { maxInFlight: 200 }, (delivery, done) => {
        seen.add(Number(delivery.subject.split('.').at(-1)));
        delivery.ack();
        done();
      });
      await taker.consumer.start();
      await until(() => taker.deliveries.length > 20 || seen.size === 5_000, { what: 'some messages', intervalMs: 1 });
      await taker.consumer.stop();
      const taken = taker.deliveries.length;
      await connection.nats.flush();
      expect(taker.deliveries).toHaveLength(taken);
      expect(taker.consumer.outstanding).toBe(0);
    }
    // The ack wait is a minute: whatever is stuck would not come in time.
    await using last = new Taker(connection, room, {}, (delivery, done) => {
      seen.add(Number(delivery.subject.split('.').at(-1)));
      delivery.ack();
      done();
    });
    await last.consumer.start();
    await until(() => seen.size === 5_000, { what: 'the rest', timeoutMs: 10_000 });
    await until(async () => (await room.ackPending()) === 0, { what: 'nothing unacknowledged', timeoutMs: 5_000 });
  });

  it('while messages are being published leaves none stuck', async () => {
    const room = await openRoom(connection);
    const seen = new Set<number>();
    const publishing = (async () => {
      for (let first = 0; first < 4_000; first += 20) await room.publish(20, first);
    })();
    for (let round = 0; round < 25; round++) {
      const taker = new Taker(connection, room, { maxInFlight: 64 }, (delivery, done) => {
        seen.add(Number(delivery.subject.split('.').at(-1)));
        delivery.ack();
        done();
      });
      await taker.consumer.start();
      const before = seen.size;
      await until(() => seen.size > before || seen.size === 4_000, { what: 'some messages', intervalMs: 1 });
      await taker.consumer.stop();
    }
    await publishing;
    await using last = new Taker(connection, room, {}, (delivery, done) => {
      seen.add(Number(delivery.subject.split('.').at(-1)));
      delivery.ack();
      done();
    });
    await last.consumer.start();
    await until(() => seen.size === 4_000, { what: 'the rest', timeoutMs: 10_000 });
    await until(async () => (await room.ackPending()) === 0, { what: 'nothing unacknowledged', timeoutMs: 5_000 });
  });

  it('withdraws its requests and leaves deliveries in hand to their holder', async () => {
    const room = await openRoom(connection);
    await room.publish(3);
    const taker = new Taker(connection, room, { maxInFlight: 10 }, () => undefined);
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 3, { what: 'the messages' });
    await taker.consumer.stop();
    await taker.consumer.stop();
    expect(await room.ackPending()).toBe(3);
    for (const delivery of taker.deliveries) delivery.ack();
    await until(async () => (await room.ackPending()) === 0, { what: 'acknowledgements' });
    await room.publish(1, 3);
    await until(
      async () => {
        const info = await connection.manager.consumers.info(room.stream, room.consumer);
        return info.num_waiting === 0 && info.num_pending === 1 && info.num_ack_pending === 0;
      },
      { what: 'a consumer that nobody pulls from' },
    );
  });
});
