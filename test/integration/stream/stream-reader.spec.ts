import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConnectionError, JetStreamRequestError } from '../../../lib/common/errors.js';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import {
  deleteMessage,
  listMessages,
  readBySequence,
  readLastBySubject,
  type StoredMessage,
} from '../../../lib/stream/stream-reader.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { connectTo, numberOf, openRoom, upTo } from './stream-room.js';

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

async function collect(messages: AsyncIterable<StoredMessage>): Promise<number[]> {
  const numbers: number[] = [];
  for await (const message of messages) numbers.push(numberOf(message));
  return numbers;
}

describe('reading one message', () => {
  it('gives subject, sequence, bytes, headers and time', async () => {
    const { stream, subject } = await openRoom(connection);
    const carried = headers();
    carried.append('Flow-Run-Id', 'a b');
    carried.append('Flow-Run-Id', 'c');
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
    const before = Date.now();
    await connection.publisher.publish(subject(1), bytes, { headers: carried });
    const message = await readLastBySubject(connection, stream, subject(1));
    expect(message).toMatchObject({ subject: subject(1), sequence: 1, data: bytes });
    expect(message?.headers?.values('Flow-Run-Id')).toEqual(['a b', 'c']);
    expect(Math.abs((message?.time.getTime() ?? 0) - before)).toBeLessThan(5_000);
    expect(await readBySequence(connection, stream, 1)).toEqual(message);
  });

  it('gives the newest of a subject, and nothing where there is nothing', async () => {
    const { stream, subject } = await openRoom(connection);
    for (const text of ['one', 'two']) await connection.publisher.publish(subject(1), new TextEncoder().encode(text));
    const last = await readLastBySubject(connection, stream, subject(1));
    expect(new TextDecoder().decode(last?.data)).toBe('two');
    expect(await readLastBySubject(connection, stream, subject(2))).toBeUndefined();
    expect(await readBySequence(connection, stream, 99)).toBeUndefined();
  });

  it('reads an empty message and one without headers', async () => {
    const { stream, subject } = await openRoom(connection);
    await connection.publisher.publish(subject(1), new Uint8Array());
    const message = await readLastBySubject(connection, stream, subject(1));
    expect(message?.data).toHaveLength(0);
    expect(message?.headers?.keys() ?? []).toEqual([]);
  });

  it('says that there is no such stream', async () => {
    await expect(readLastBySubject(connection, 'NOWHERE', 'x')).rejects.toThrow(JetStreamRequestError);
    await expect(readBySequence(connection, 'NOWHERE', 1)).rejects.toThrow(/NOWHERE/);
  });

  it('says that there is no server', async () => {
    await using own = await EmbeddedNatsServer.start();
    await using to = await connectTo(own, { requestTimeout: 200 });
    const { stream, subject } = await openRoom(to);
    await own.kill();
    await expect(readLastBySubject(to, stream, subject(1))).rejects.toThrow(ConnectionError);
  });
});

describe('deleting', () => {
  it('removes the message once', async () => {
    const room = await openRoom(connection);
    await room.publish(3);
    expect(await deleteMessage(connection, room.stream, 2)).toBe(true);
    expect(await deleteMessage(connection, room.stream, 2)).toBe(false);
    expect(await deleteMessage(connection, room.stream, 99)).toBe(false);
    expect(await readBySequence(connection, room.stream, 2)).toBeUndefined();
    expect(await collect(listMessages(connection, room.stream, `${room.stream}.>`))).toEqual([0, 2]);
  });

  it('says that the stream does not allow it', async () => {
    const room = await openRoom(connection, {}, { deny_delete: true });
    await room.publish(1);
    await expect(deleteMessage(connection, room.stream, 1)).rejects.toThrow(JetStreamRequestError);
  });
});

describe('listing', () => {
  it('gives pages of what matches, in order', async () => {
    const room = await openRoom(connection);
    await room.publish(50);
    const all = `${room.stream}.*`;
    expect(await collect(listMessages(connection, room.stream, all))).toEqual(upTo(50));
    expect(await collect(listMessages(connection, room.stream, all, { limit: 3 }))).toEqual([0, 1, 2]);
    expect(await collect(listMessages(connection, room.stream, all, { limit: 3, afterSequence: 3 }))).toEqual([
      3, 4, 5,
    ]);
    expect(await collect(listMessages(connection, room.stream, all, { limit: 3, afterSequence: 49 }))).toEqual([49]);
    expect(await collect(listMessages(connection, room.stream, all, { limit: 3, afterSequence: 50 }))).toEqual([]);
    expect(await collect(listMessages(connection, room.stream, room.subject(7), { limit: 3 }))).toEqual([7]);
    expect(await collect(listMessages(connection, room.stream, 'nobody', {}))).toEqual([]);
    expect(await collect(listMessages(connection, room.stream, all, { limit: 0 }))).toEqual([]);
  });

  it('leaves nothing behind when it is not read to the end', async () => {
    const room = await openRoom(connection);
    await room.publish(5);
    for await (const message of listMessages(connection, room.stream, '>')) if (message.sequence === 2) break;
    const { state } = await connection.manager.streams.info(room.stream);
    expect(state.consumer_count).toBe(1);
  });

  it('says that there is no such stream', async () => {
    await expect(collect(listMessages(connection, 'NOWHERE', '>'))).rejects.toThrow(JetStreamRequestError);
  });
});
