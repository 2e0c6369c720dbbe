import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import {
  ConnectionError,
  EncodeError,
  JetStreamRequestError,
  PublishTimeoutError,
  WrongLastSequenceError,
} from '../../../lib/common/errors.js';
import type { ConnectionOptions } from '../../../lib/connection/connection.options.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const small = encode('x');

describe('Publisher', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
  });

  afterAll(() => server.stop());

  /** A connection with a stream of its own. */
  async function connectWithStream(name: string, options: ConnectionOptions = {}): Promise<FlowConnection> {
    const connection = await FlowConnection.connect({ servers: server.url, ...options }, silentLog);
    await connection.manager.streams.add({ name, subjects: [`${name}.>`], max_msg_size: 100_000 });
    return connection;
  }

  it('resolves with stream and sequence when the message is stored, headers and all', async () => {
    await using connection = await connectWithStream('ack');
    const own = headers();
    own.append('Multi', 'one');
    own.append('Multi', 'two');
    const { publisher, manager } = connection;
    expect(await publisher.publish('ack.a', encode('hello'), { headers: own })).toEqual({
      stream: 'ack',
      sequence: 1,
      duplicate: false,
      repeated: false,
    });
    const stored = await manager.streams.getMessage('ack', { seq: 1 });
    expect(stored?.string()).toBe('hello');
    expect(stored?.header.values('Multi')).toEqual(['one', 'two']);
    expect(await publisher.publish('ack.a', new Uint8Array())).toMatchObject({ sequence: 2 });
    expect(publisher.inFlight).toBe(0);
  });

  it('stores in the order of the calls', async () => {
    await using connection = await connectWithStream('order', { maxPublishesInFlight: 16 });
    const results = await Promise.all(
      Array.from({ length: 500 }, (_, n) => connection.publisher.publish(`order.${n}`, small)),
    );
    expect(results.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 500 }, (_, n) => n + 1));
  });

  it('says when the stream had the message id already', async () => {
    await using connection = await connectWithStream('dup');
    await connection.publisher.publish('dup.a', small, { messageId: 'one' });
    await connection.publisher.publish('dup.a', small, { messageId: 'two' });
    expect(await connection.publisher.publish('dup.b', small, { messageId: 'one' })).toEqual({
      stream: 'dup',
      sequence: 1,
      duplicate: true,
      repeated: false,
    });
  });

  it('rejects with the last sequence when an expected sequence does not hold', async () => {
    await using connection = await connectWithStream('cas');
    const { publisher } = connection;
    await publisher.publish('cas.a', small, { expectLastSubjectSequence: 0 });
    await publisher.publish('cas.b', small, { expectLastSubjectSequence: 0 });
    await publisher.publish('cas.a', small, { expectLastSubjectSequence: 1 });
    const conflict = await publisher.publish('cas.a', small, { expectLastSubjectSequence: 1 }).catch((e: unknown) => e);
    expect(conflict).toBeInstanceOf(WrongLastSequenceError);
    expect(conflict).toMatchObject({ code: 'JETSTREAM', apiCode: 10071, repeated: false, lastSequence: 3 });
    expect((conflict as Error).message).toContain('cas.a');
  });

  it('rejects with what the stream says', async () => {
    await using connection = await connectWithStream('limit');
    const refused = connection.publisher.publish('limit.a', new Uint8Array(200_000));
    await expect(refused).rejects.toThrow(/"limit.a".*message size exceeds maximum allowed \(10054\)/);
    await expect(refused).rejects.toBeInstanceOf(JetStreamRequestError);
  });

  it('rejects at once without a stream, and tries until the timeout when repeatable', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    const once = connection.publisher.publish('nobody.here', small);
    await expect(once).rejects.toMatchObject({ code: 'JETSTREAM', apiCode: 503 });
    await expect(once).rejects.toThrow('No stream listens on "nobody.here"');

    const repeated = connection.publisher.publish('nobody.here', small, { messageId: '1', timeoutMs: 400 });
    await expect(repeated).rejects.toBeInstanceOf(PublishTimeoutError);
    await expect(repeated).rejects.toMatchObject({ cause: { apiCode: 503 } });
  });

  it('finds the stream that is created while it tries', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    const publish = connection.publisher.publish('late.a', small, { expectLastSubjectSequence: 0 });
    await connection.flush();
    await connection.manager.streams.add({ name: 'late', subjects: ['late.>'] });
    expect(await publish).toMatchObject({ stream: 'late', sequence: 1, repeated: false });
  });

  it('times out when what listens is no stream, or answers nonsense', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    await using other = await connectForTest(server);
    other.subscribe('mute', { callback: () => undefined });
    other.subscribe('chatty', { callback: (_error, message) => void message.respond('hello') });
    other.subscribe('empty', { callback: (_error, message) => void message.respond() });
    await other.flush();
    const { publisher } = connection;
    await expect(publisher.publish('mute', small, { timeoutMs: 100 })).rejects.toBeInstanceOf(PublishTimeoutError);
    await expect(publisher.publish('chatty', small)).rejects.toThrow(/no acknowledgement.*plain subscriber/);
    await expect(publisher.publish('empty', small)).rejects.toThrow(/empty.*plain subscriber/);
  });

  it('refuses before sending what no server would take', async () => {
    await using connection = await connectWithStream('bad');
    const { publisher } = connection;
    const limit = connection.nats.info?.max_payload ?? NaN;
    const tooLarge = publisher.publish('bad.a', new Uint8Array(limit + 1));
    await expect(tooLarge).rejects.toThrow(
      new RegExp(`${limit + 1} bytes \\(headers included\\).*"bad.a".*max_payload of ${limit}`),
    );
    await expect(publisher.publish('bad.a', new Uint8Array(limit), { messageId: 'id' })).rejects.toBeInstanceOf(
      EncodeError,
    );
    await expect(publisher.publish('bad subject', small)).rejects.toBeInstanceOf(EncodeError);
    await expect(publisher.publish('', small)).rejects.toBeInstanceOf(EncodeError);
    await expect(publisher.publish('bad.a', small, { headers: [['a', 'b\nc']] })).rejects.toBeInstanceOf(EncodeError);
    await expect(publisher.publish('bad.a', small, { timeoutMs: NaN })).rejects.toThrow('timeoutMs: NaN');
    expect(publisher.inFlight).toBe(0);
    expect(await publisher.publish('bad.a', small)).toMatchObject({ sequence: 1 });
  });

  it('keeps at most the window in flight; the rest waits its turn', async () => {
    await using connection = await connectWithStream('window', { maxPublishesInFlight: 10 });
    const { publisher } = connection;
    const all = Array.from({ length: 100 }, (_, n) => publisher.publish(`window.${n}`, small));
    expect(publisher.inFlight).toBe(10);
    expect(publisher.waiting).toBe(90);
    await all[0];
    expect(publisher.inFlight).toBeLessThanOrEqual(10);
    await Promise.all(all);
    expect([publisher.inFlight, publisher.waiting]).toEqual([0, 0]);
  });

  it('counts the time in the waiting line, and says that nothing was sent', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url, maxPublishesInFlight: 1 }, silentLog);
    await using other = await connectForTest(server);
    other.subscribe('mute', { callback: () => undefined });
    await other.flush();
    const first = connection.publisher.publish('mute', small, { timeoutMs: 300 });
    const second = connection.publisher.publish('mute', small, { timeoutMs: 100 });
    await expect(second).rejects.toMatchObject({ code: 'PUBLISH_TIMEOUT', cause: { code: 'CONNECTION' } });
    await expect(second).rejects.toMatchObject({ cause: { message: expect.stringContaining('1 places') as string } });
    await expect(first).rejects.toBeInstanceOf(PublishTimeoutError);
  });

  it('drains: ends what is under way and takes nothing new', async () => {
    await using connection = await connectWithStream('drain', { maxPublishesInFlight: 4 });
    const { publisher } = connection;
    const all = Array.from({ length: 20 }, (_, n) => publisher.publish(`drain.${n}`, small));
    const drained = publisher.drain();
    await expect(publisher.publish('drain.more', small)).rejects.toBeInstanceOf(ConnectionError);
    await drained;
    expect([publisher.inFlight, publisher.waiting]).toEqual([0, 0]);
    expect(await Promise.all(all)).toHaveLength(20);
    await publisher.drain();
  });

  it('does not mix up two connections of one process', async () => {
    await using one = await connectWithStream('two');
    await using other = await FlowConnection.connect({ servers: server.url }, silentLog);
    const results = await Promise.all(
      [one, other].flatMap(({ publisher }) =>
        Array.from({ length: 200 }, (_, n) => publisher.publish(`two.${n}`, small, { messageId: `m${n}` })),
      ),
    );
    expect(results.filter(({ duplicate }) => duplicate)).toHaveLength(200);
    expect(new Set(results.map(({ sequence }) => sequence)).size).toBe(200);
  });
});

describe('Publisher without permissions', () => {
  let server: EmbeddedNatsServer;
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'flow-permissions-'));
    const config = join(directory, 'server.conf');
    await writeFile(
      config,
      `authorization { users = [
        { user: writer, password: x, permissions: { publish: { deny: "secret.>" } } }
        { user: deaf, password: x, permissions: { subscribe: { allow: ["granted.>", "_INBOX.*.*"], deny: "_INBOX.denied.>" } } }
      ] }`,
    );
    server = await EmbeddedNatsServer.start({ args: ['-c', config] });
  });

  afterAll(async () => {
    await server.stop();
    await rm(directory, { recursive: true });
  });

  it('fails the publishes to a forbidden subject at once, and no others', async () => {
    const options = { servers: server.url, user: 'writer', password: 'x' };
    await using connection = await FlowConnection.connect(options, silentLog);
    const forbidden = connection.publisher.publish('secret.a', small, { messageId: '1' });
    await expect(forbidden).rejects.toThrow('does not let us publish to "secret.a"');
    await connection.manager.streams.add({ name: 'open', subjects: ['open'] });
    expect(await connection.publisher.publish('open', small)).toMatchObject({ sequence: 1 });
  });

  it('says that no acknowledgement can come when the reply subject is forbidden', async () => {
    const account = { servers: server.url, user: 'deaf', password: 'x' };
    // The client's own reply subject is granted, ours is not.
    await using nats = await connectForTest(server, { user: 'deaf', pass: 'x' });
    await using connection = await FlowConnection.connect(
      { servers: server.url, connection: nats, inboxPrefix: '_INBOX.denied' },
      silentLog,
    );
    await until(
      async () =>
        connection.publisher.publish('a', small).then(
          () => '',
          (error: unknown) => String(error).includes('reply subject'),
        ),
      { what: 'the refusal' },
    );
    await expect(connection.publisher.publish('a', small, { messageId: '1' })).rejects.toThrow(/inboxPrefix/);

    await using granted = await FlowConnection.connect({ ...account, inboxPrefix: 'granted' }, silentLog);
    await granted.manager.streams.add({ name: 'granted', subjects: ['ok'] });
    expect(await granted.publisher.publish('ok', small)).toMatchObject({ sequence: 1 });
  });
});
