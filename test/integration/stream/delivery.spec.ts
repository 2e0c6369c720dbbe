import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AckTimeoutError } from '../../../lib/common/errors.js';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { Delivery } from '../../../lib/stream/delivery.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';
import { connectTo, openRoom, Taker } from './stream-room.js';

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

/** Starts a taker that leaves settling to the test, and waits for its first delivery. */
async function takeOne(taker: Taker): Promise<Delivery> {
  await taker.consumer.start();
  return until(() => taker.deliveries[0], { what: 'the message' });
}

describe('a delivery', () => {
  it('tells what the stream knows about the message', async () => {
    const before = Date.now();
    const room = await openRoom(connection);
    await room.publish(3);
    await using taker = new Taker(connection, room, {}, () => undefined);
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 3, { what: 'the messages' });
    const [first, , third] = taker.deliveries;
    expect(first).toMatchObject({
      subject: room.subject(0),
      stream: room.stream,
      sequence: 1,
      attempt: 1,
      redelivered: false,
      pending: 2,
      settled: false,
    });
    expect(third).toMatchObject({ sequence: 3, pending: 0 });
    expect(new TextDecoder().decode(first?.data)).toBe('0');
    expect(first?.headers?.get('Nats-Msg-Id')).toBe(`${room.stream}-0`);
    expect(first?.time.getTime()).toBeGreaterThanOrEqual(before - 1);
    expect(first?.time.getTime()).toBeLessThanOrEqual(Date.now() + 1);
  });

  it('comes again after the ack wait when nothing is said', async () => {
    const room = await openRoom(connection, { ackWaitMs: 300 });
    await room.publish(1);
    await using taker = new Taker(connection, room, {}, (delivery, done) => {
      if (delivery.attempt === 2) delivery.ack();
      done();
    });
    await taker.consumer.start();
    await until(() => taker.deliveries.length === 2, { what: 'the redelivery' });
    expect(taker.deliveries[1]).toMatchObject({ attempt: 2, redelivered: true, sequence: 1 });
    await until(async () => (await room.ackPending()) === 0, { what: 'the acknowledgement' });
  });

  it('comes again after the delay of nak, not before', async () => {
    const room = await openRoom(connection);
    await room.publish(1);
    const times: number[] = [];
    await using taker = new Taker(connection, room, {}, (delivery, done) => {
      times.push(performance.now());
      if (delivery.attempt === 1) delivery.nak(400);
      else if (delivery.attempt === 2) delivery.nak(0);
      else delivery.ack();
      done();
    });
    await taker.consumer.start();
    await until(() => times.length === 3, { what: 'two redeliveries' });
    const [first = 0, second = 0, third = 0] = times;
    expect(second - first).toBeGreaterThanOrEqual(390);
    expect(second - first).toBeLessThan(2_000);
    expect(third - second).toBeLessThan(390);
  });

  it('is not redelivered while it is extended', async () => {
    const room = await openRoom(connection, { ackWaitMs: 500 });
    await room.publish(1);
    await using taker = new Taker(connection, room, {}, () => undefined);
    const delivery = await takeOne(taker);
    const end = performance.now() + 2_000;
    const fourAckWaits = (): boolean => {
      expect(taker.deliveries).toHaveLength(1);
      delivery.extend();
      return performance.now() >= end;
    };
    await until(fourAckWaits, { what: 'four ack waits to pass', intervalMs: 100 });
    expect(taker.deliveries).toHaveLength(1);
    await delivery.ackConfirmed(5_000);
    expect(await room.ackPending()).toBe(0);
  });

  it('never comes again after term', async () => {
    const room = await openRoom(connection, { ackWaitMs: 200 });
    await room.publish(2);
    await using taker = new Taker(connection, room, {}, (delivery, done) => {
      if (delivery.sequence === 1) delivery.term();
      else if (delivery.attempt >= 3) delivery.ack();
      done();
    });
    await taker.consumer.start();
    // The second message comes three times, which takes longer than the first one's ack wait.
    await until(() => taker.deliveries.length >= 4, { what: 'the redeliveries of the second message' });
    await until(async () => (await room.ackPending()) === 0, { what: 'both settled' });
    expect(taker.numbers).toEqual([0, 1, 1, 1]);
  });

  it('is settled by the first word only', async () => {
    const room = await openRoom(connection, { ackWaitMs: 60_000 });
    await room.publish(1);
    await using taker = new Taker(connection, room, {}, () => undefined);
    const delivery = await takeOne(taker);
    delivery.ack();
    expect(delivery.settled).toBe(true);
    delivery.nak(0);
    delivery.term();
    delivery.extend();
    await delivery.ackConfirmed(1);
    await connection.nats.flush();
    await until(async () => (await room.ackPending()) === 0, { what: 'the acknowledgement' });
    taker.consumer.release();
    await room.publish(1, 1);
    await until(() => taker.deliveries.length === 2, { what: 'the next message' });
    expect(taker.numbers).toEqual([0, 1]);
  });
});

describe('ackConfirmed', () => {
  it('resolves when the server has taken it; calls at the same time share it', async () => {
    const room = await openRoom(connection);
    await room.publish(1);
    await using taker = new Taker(connection, room, {}, () => undefined);
    const delivery = await takeOne(taker);
    const both = [delivery.ackConfirmed(5_000), delivery.ackConfirmed(5_000)];
    expect(both[0]).toBe(both[1]);
    await Promise.all(both);
    expect(await room.ackPending()).toBe(0);
  });

  it('fails without confirmation, says so, and can be repeated', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using through = await connectTo(proxy);
    const room = await openRoom(connection);
    await room.publish(1);
    await using taker = new Taker(through, room, {}, () => undefined);
    const delivery = await takeOne(taker);
    proxy.dropRepliesAfter(0);
    const failure = await delivery.ackConfirmed(200).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(AckTimeoutError);
    expect((failure as AckTimeoutError).message).toContain(room.subject(0));
    expect(delivery.settled).toBe(false);
    proxy.restore();
    await until(() => through.status === 'disconnected' || proxy.accepted > 1, { what: 'the loss' });
    await until(() => through.status === 'connected', { what: 'the connection' });
    // The server took the first one: only its answer was lost. A repeated ack is taken as well.
    expect(await room.ackPending()).toBe(0);
    delivery.ack();
    expect(delivery.settled).toBe(true);
  });
});

describe('acknowledgement subjects of the second form', () => {
  it('are read too', async (context) => {
    needsServer(context, server, '2.14', 'The second form of acknowledgement subjects');
    const directory = await mkdtemp(join(tmpdir(), 'flow-ack-form-'));
    const file = join(directory, 'server.conf');
    await writeFile(file, 'feature_flags: { js_ack_fc_v2: true }\n');
    try {
      await using second = await EmbeddedNatsServer.start({ args: ['-c', file] });
      await using to = await connectTo(second);
      const room = await openRoom(to);
      await room.publish(2);
      await using taker = new Taker(to, room);
      await taker.consumer.start();
      await until(() => taker.deliveries.length === 2, { what: 'the messages' });
      expect(taker.deliveries[0]).toMatchObject({ stream: room.stream, sequence: 1, attempt: 1, pending: 1 });
      await until(async () => (await room.ackPending()) === 0, { what: 'the acknowledgements' });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
