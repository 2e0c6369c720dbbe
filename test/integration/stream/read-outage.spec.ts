import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { ConnectionError } from '../../../lib/common/errors.js';
import { listMessages, readLastBySubject } from '../../../lib/stream/stream-reader.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { until } from '../../support/until.js';
import { connectTo, openRoom, type Room } from './stream-room.js';

describe('a read while the connection is lost', () => {
  let server: EmbeddedNatsServer;
  let proxy: CuttingProxy;
  let connection: FlowConnection;
  let room: Room;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
    proxy = await CuttingProxy.start(server);
    connection = await connectTo(proxy, { requestTimeout: '3s' });
    room = await openRoom(connection);
    await room.publish(1);
  });
  afterAll(async () => {
    await connection.close();
    await proxy[Symbol.asyncDispose]();
    await server.stop();
  });

  const read = async (): Promise<string> => {
    const message = await readLastBySubject(connection, room.stream, room.subject(0));
    return Buffer.from(message?.data ?? []).toString();
  };
  const disconnected = (): Promise<boolean> => until(() => connection.status === 'disconnected', { what: 'the loss' });

  it('waits for the connection, and has its answer soon after', async () => {
    proxy.rejectNew(true);
    proxy.cut();
    await disconnected();
    const reading = read();
    const restoredAt = performance.now();
    proxy.restore();
    expect(await reading).toBe('0');
    expect(performance.now() - restoredAt).toBeLessThan(2_000);
  });

  it('asks again when its answer was lost', async () => {
    proxy.dropRepliesAfter();
    const reading = read();
    proxy.rejectNew(true);
    proxy.cut();
    await disconnected();
    const restoredAt = performance.now();
    proxy.restore();
    expect(await reading).toBe('0');
    expect(performance.now() - restoredAt).toBeLessThan(2_000);
  });

  it('goes on listing', async () => {
    await room.publish(3);
    const listed: string[] = [];
    for await (const { subject } of listMessages(connection, room.stream, `${room.stream}.>`)) {
      listed.push(subject);
      if (listed.length > 1) continue;
      proxy.rejectNew(true);
      proxy.cut();
      await disconnected();
      proxy.restore();
    }
    expect(listed).toEqual([0, 1, 2].map(room.subject));
  });

  it('fails at once when the connection is closed meanwhile', async () => {
    const closing = await connectTo(proxy, { requestTimeout: '30s' });
    proxy.rejectNew(true);
    proxy.cut();
    await until(() => closing.status === 'disconnected', { what: 'the loss' });
    const reading = expect(readLastBySubject(closing, room.stream, room.subject(0))).rejects.toThrow(/closed/);
    await closing.close();
    await reading;
    proxy.restore();
  });

  it('fails when the connection is not back in time', async () => {
    proxy.rejectNew(true);
    proxy.cut();
    await disconnected();
    await expect(read()).rejects.toThrow(ConnectionError);
    proxy.restore();
    expect(await read()).toBe('0');
  });
});
