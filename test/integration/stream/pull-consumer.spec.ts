import { AckPolicy } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigurationError, NotFoundError } from '../../../lib/common/errors.js';
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

describe('taking messages', () => {
  it('takes each one once, in order, and leaves nothing unacknowledged', async () => {
    const room = await openRoom(connection);
    await room.publish(5_000);
    await using taker = new Taker(connection, room);
    await taker.consumer.start();
    await until(() => taker.deliveries.length >= 5_000, { what: 'all messages' });
    expect(taker.numbers).toEqual(upTo(5_000));
    expect(taker.deliveries.every((delivery) => delivery.attempt === 1 && !delivery.redelivered)).toBe(true);
    await until(async () => (await room.ackPending()) === 0, { what: 'acknowledgements' });
    expect(taker.errors).toEqual([]);
  });

  it.each([1, 2, 3, 7, 64])('keeps going with %i in flight and handlers that end in any order', async (maxInFlight) => {
    const room = await openRoom(connection);
    await room.publish(400);
    let inHand = 0;
    let most = 0;
    await using taker = new Taker(connection, room, { maxInFlight }, (delivery, done) => {
      most = Math.max(most, ++inHand);
      setTimeout(() => {
        inHand--;
        delivery.ack();
        done();
      }, Math.random() * 3);
    });
    await taker.consumer.start();
    await until(() => taker.deliveries.length >= 400, { what: 'all messages' });
    expect(taker.numbers).toEqual(upTo(400));
    expect(most).toBe(maxInFlight);
  });

  it('takes what is published while it waits, at once', async () => {
    const room = await openRoom(connection);
    const arrived: { at?: number } = {};
    await using taker = new Taker(connection, room, { maxInFlight: 4 }, (delivery, done) => {
      delivery.ack();
      done();
      arrived.at = performance.now();
    });
    await taker.consumer.start();
    const started = performance.now();
    await room.publish(1);
    const at = await until(() => arrived.at, { what: 'the message' });
    expect(at - started).toBeLessThan(1_000);
  });

  it('shares the work with another instance', async () => {
    const room = await openRoom(connection);
    const slowly = (delivery: { ack(): void }, done: () => void): void => {
      setTimeout(() => {
        delivery.ack();
        done();
      }, 1);
    };
    await using first = new Taker(connection, room, { maxInFlight: 10 }, slowly);
    await using second = new Taker(connection, room, { maxInFlight: 10 }, slowly);
    await Promise.all([first.consumer.start(), second.consumer.start()]);
    await room.publish(1_000);
    await until(() => first.deliveries.length + second.deliveries.length >= 1_000, { what: 'all messages' });
    expect(new Set([...first.numbers, ...second.numbers]).size).toBe(1_000);
    expect(Math.min(first.deliveries.length, second.deliveries.length)).toBeGreaterThan(100);
  });

  it('asks for no more at once than the consumer allows', async () => {
    const room = await openRoom(connection, { max_batch: 3 });
    await room.publish(50);
    await using taker = new Taker(connection, room, { maxInFlight: 20 });
    await taker.consumer.start();
    await until(() => taker.deliveries.length >= 50, { what: 'all messages' });
    expect(taker.errors).toEqual([]);
  });
});

describe('the bound', () => {
  it('holds on the server too: never more unacknowledged than maxInFlight', async () => {
    const room = await openRoom(connection);
    await room.publish(300);
    // Confirmed: the server takes plain acknowledgements and requests from two queues, so that for a moment it
    // may count messages that are done already.
    await using taker = new Taker(connection, room, { maxInFlight: 8 }, (delivery, done) => {
      setTimeout(() => void delivery.ackConfirmed(5_000).then(done), 10 + Math.random() * 10);
    });
    await taker.consumer.start();
    const seen: number[] = [];
    await until(
      async () => {
        seen.push(await room.ackPending());
        return taker.deliveries.length >= 300;
      },
      { what: 'all messages', intervalMs: 1 },
    );
    expect(Math.max(...seen)).toBeLessThanOrEqual(8);
    expect(Math.max(...seen)).toBeGreaterThan(4);
  });

  it('leaves the messages on the server while no place is free', async () => {
    const room = await openRoom(connection);
    await room.publish(100);
    await using taker = new Taker(connection, room, { maxInFlight: 5 }, () => undefined);
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 5, { what: 'five messages' });
    expect(taker.consumer.outstanding).toBe(0);
    const info = await connection.manager.consumers.info(room.stream, room.consumer);
    expect(info).toMatchObject({ num_ack_pending: 5, num_pending: 95, num_waiting: 0 });
    taker.deliveries[0]?.ack();
    taker.consumer.release();
    await until(() => taker.deliveries.length === 6, { what: 'the next message' });
    expect(taker.consumer.inFlight).toBe(5);
  });

  it('keeps few requests standing when places become free one by one', async () => {
    const room = await openRoom(connection);
    await room.publish(64);
    await using taker = new Taker(connection, room, { maxInFlight: 64 }, () => undefined);
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 64, { what: 'all messages' });
    for (const delivery of taker.deliveries) {
      delivery.ack();
      taker.consumer.release();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => taker.consumer.outstanding === 64, { what: 'all places asked for' });
    const info = await connection.manager.consumers.info(room.stream, room.consumer);
    expect(info.num_waiting).toBeLessThanOrEqual(8);
  });
});

describe('starting', () => {
  it('says that there is no such consumer', async () => {
    const { stream } = await openRoom(connection);
    await using taker = new Taker(connection, { stream, consumer: 'nobody' });
    await expect(taker.consumer.start()).rejects.toThrow(NotFoundError);
  });

  it('refuses a push consumer', async () => {
    const { stream } = await openRoom(connection);
    const config = { durable_name: 'push', deliver_subject: 'somewhere', ack_policy: AckPolicy.Explicit };
    await connection.manager.consumers.add(stream, config);
    await using taker = new Taker(connection, { stream, consumer: 'push' });
    await expect(taker.consumer.start()).rejects.toThrow(ConfigurationError);
  });

  it('lets recreate make the consumer', async () => {
    const room = await openRoom(connection);
    await connection.manager.consumers.delete(room.stream, room.consumer);
    await room.publish(3);
    await using taker = new Taker(connection, room, { recreate: () => room.addConsumer() });
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 3, { what: 'the messages' });
  });
});

describe('a handler that throws', () => {
  it('is reported, its message comes again, and the others are not held up', async () => {
    const room = await openRoom(connection);
    await room.publish(20);
    await using taker = new Taker(connection, room, { maxInFlight: 2 }, (delivery, done) => {
      if (delivery.subject.endsWith('.5') && delivery.attempt === 1) throw new Error('bad day');
      delivery.ack();
      done();
    });
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 21, { what: 'all messages and one again' });
    expect(taker.numbers.at(-1)).toBe(5);
    expect(taker.errors[0]?.message).toMatch(/onMessage threw/);
    expect(taker.errors[0]?.cause).toMatchObject({ message: 'bad day' });
    expect(taker.consumer.inFlight).toBe(0);
  });
});
