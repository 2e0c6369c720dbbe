import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FlowError } from '../../../lib/common/errors.js';
import { JetStreamRequestError } from '../../../lib/common/errors.js';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { StoredMessage } from '../../../lib/stream/stream-reader.js';
import { SubjectWatch, type SubjectWatchOptions } from '../../../lib/stream/subject-watch.js';
import { EmbeddedNatsServer } from '../../../lib/testing/embedded-nats-server.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { until } from '../../support/until.js';
import { connectTo, numberOf, openRoom, upTo, type Room } from './stream-room.js';

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

/** A watch of all of a room's messages that keeps what it sees. */
class Watcher implements AsyncDisposable {
  readonly messages: StoredMessage[] = [];
  readonly errors: FlowError[] = [];
  /** How many messages had come when it said that it had caught up. */
  readonly caughtUp: number[] = [];
  #watch: SubjectWatch | undefined;

  static async start(
    to: FlowConnection,
    room: Room,
    from: SubjectWatchOptions['from'],
    more: Partial<SubjectWatchOptions> = {},
  ): Promise<Watcher> {
    const watcher = new Watcher();
    watcher.#watch = await SubjectWatch.start(to, {
      stream: room.stream,
      filter: `${room.stream}.*`,
      from,
      onMessage: (message) => watcher.messages.push(message),
      onCaughtUp: () => watcher.caughtUp.push(watcher.messages.length),
      onError: (error) => watcher.errors.push(error),
      ...more,
    });
    return watcher;
  }

  get numbers(): number[] {
    return this.messages.map(numberOf);
  }

  async stop(): Promise<void> {
    await this.#watch?.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function watchConsumers(to: FlowConnection, room: Room): Promise<number> {
  const info = await to.manager.streams.info(room.stream);
  return info.state.consumer_count - 1; // the room's own durable
}

describe('watching', () => {
  it('gives everything from the start in order, says when it has caught up, and goes on', async () => {
    const room = await openRoom(connection);
    await room.publish(2_000);
    await using watcher = await Watcher.start(connection, room, 'all');
    await until(() => watcher.caughtUp.length > 0, { what: 'catching up' });
    expect(watcher.caughtUp).toEqual([2_000]);
    await room.publish(100, 2_000);
    await until(() => watcher.messages.length === 2_100, { what: 'the later messages' });
    expect(watcher.numbers).toEqual(upTo(2_100));
    expect(watcher.messages[5]).toMatchObject({ subject: room.subject(5), sequence: 6 });
    expect(new TextDecoder().decode(watcher.messages[5]?.data)).toBe('5');
    expect(watcher.errors).toEqual([]);
  });

  it('has caught up at once when there is nothing', async () => {
    const room = await openRoom(connection);
    await using watcher = await Watcher.start(connection, room, 'all');
    expect(watcher.caughtUp).toEqual([0]);
  });

  it('gives only what comes after start with "new", and from a sequence with a number', async () => {
    const room = await openRoom(connection);
    await room.publish(10);
    await using fresh = await Watcher.start(connection, room, 'new');
    await using late = await Watcher.start(connection, room, 8);
    expect(fresh.caughtUp).toEqual([0]);
    await room.publish(2, 10);
    await until(() => fresh.messages.length === 2 && late.messages.length === 5, { what: 'the messages' });
    expect(fresh.numbers).toEqual([10, 11]);
    expect(late.numbers).toEqual([7, 8, 9, 10, 11]);
    expect(late.caughtUp).toEqual([3]);
  });

  it('gives only what the filter matches', async () => {
    const room = await openRoom(connection);
    await using watcher = await Watcher.start(connection, room, 'all', { filter: room.subject(7) });
    await room.publish(20);
    await until(() => watcher.messages.length === 1, { what: 'the message' });
    await room.publish(1, 20);
    await connection.nats.flush();
    expect(watcher.numbers).toEqual([7]);
  });

  it('leaves no consumer behind', async () => {
    const room = await openRoom(connection);
    const watcher = await Watcher.start(connection, room, 'all');
    expect(await watchConsumers(connection, room)).toBe(1);
    await watcher.stop();
    await watcher.stop();
    expect(await watchConsumers(connection, room)).toBe(0);
    await room.publish(1);
    expect(watcher.messages).toEqual([]);
  });

  it('says that there is no such stream', async () => {
    const room = { ...(await openRoom(connection)), stream: 'NOWHERE' };
    await expect(Watcher.start(connection, room, 'all')).rejects.toThrow(JetStreamRequestError);
  });

  it('goes on when a callback throws, and tells', async () => {
    const room = await openRoom(connection);
    const errors: FlowError[] = [];
    const seen: number[] = [];
    await using watcher = await Watcher.start(connection, room, 'all', {
      onError: (error) => errors.push(error),
      onMessage: (message) => {
        seen.push(message.sequence);
        if (message.sequence === 2) throw new Error('bad day');
      },
    });
    await room.publish(3);
    await until(() => seen.length === 3, { what: 'the messages' });
    expect(errors).toMatchObject([{ cause: { message: 'bad day' } }]);
    expect(watcher.errors).toEqual([]);
  });

  it('keeps up with more than the client buffers: the server waits for it', async () => {
    const room = await openRoom(connection);
    await connection.manager.streams.update(room.stream, { max_msg_size: 100_000 });
    const big = new Uint8Array(90_000);
    for (let n = 0; n < 500; n++) await connection.publisher.publish(room.subject(n), big);
    const numbers: number[] = [];
    await using watcher = await Watcher.start(connection, room, 'all', {
      onMessage: (message) => numbers.push(numberOf(message)),
    });
    await until(() => watcher.caughtUp.length > 0, { what: 'catching up', timeoutMs: 20_000 });
    expect(numbers).toEqual(upTo(500));
  });
});

// They wait for heartbeats that do not come: together, because that takes its time.
describe.concurrent('a watch whose ground moves', () => {
  it('sees every message once, in order, over cut connections', async ({ expect }) => {
    await using proxy = await CuttingProxy.start(server);
    await using through = await connectTo(proxy);
    const room = await openRoom(connection);
    await using watcher = await Watcher.start(through, room, 'new');
    const publishing = (async () => {
      for (let first = 0; first < 5_000; first += 50) await room.publish(50, first);
    })();
    for (let cut = 1; cut <= 5; cut++) {
      await until(() => watcher.messages.length >= cut * 600, { what: 'some messages' });
      proxy.cut();
    }
    await publishing;
    await until(() => watcher.messages.length >= 5_000, { what: 'all messages' });
    expect(watcher.numbers).toEqual(upTo(5_000));
  });

  it('sees every message once, in order, over kills of the server', async ({ expect }) => {
    await using own = await EmbeddedNatsServer.start();
    await using to = await connectTo(own);
    const room = await openRoom(to);
    await using watcher = await Watcher.start(to, room, 'all');
    const publishing = (async () => {
      for (let first = 0; first < 5_000; first += 50) await room.publish(50, first);
    })();
    for (let kill = 1; kill <= 2; kill++) {
      await until(() => watcher.messages.length >= kill * 1_000, { what: 'some messages' });
      await own.kill();
      await own.restart();
    }
    await publishing;
    await until(() => watcher.messages.length >= 5_000, { what: 'all messages' });
    // A publish repeated by its message id may store in another order than it was made: the stream's order counts.
    const sequences = watcher.messages.map((message) => message.sequence);
    expect(sequences).toEqual(upTo(5_000).map((n) => n + 1));
    await watcher.stop();
    await until(async () => (await watchConsumers(to, room)) === 0, {
      what: 'the consumers of lost connections to be gone',
      timeoutMs: 25_000,
      intervalMs: 200,
    });
  });

  it('goes on when its consumer is deleted', async ({ expect }) => {
    const room = await openRoom(connection);
    await using watcher = await Watcher.start(connection, room, 'all');
    await room.publish(3);
    await until(() => watcher.messages.length === 3, { what: 'the first messages' });
    const names = (await connection.manager.consumers.list(room.stream).next()).map((info) => info.name);
    const name = names.find((candidate) => candidate.startsWith('watch_')) ?? '';
    await connection.manager.consumers.delete(room.stream, name);
    await room.publish(3, 3);
    await until(() => watcher.messages.length === 6, { what: 'the later messages', timeoutMs: 25_000 });
    expect(watcher.numbers).toEqual(upTo(6));
    expect(watcher.errors.map((error) => error.message)).toMatchObject([/heartbeats stopped/]);
  });

  it('follows a stream that was made anew from its first message', async ({ expect }) => {
    await using own = await EmbeddedNatsServer.start();
    await using to = await connectTo(own);
    const room = await openRoom(to);
    await room.publish(10);
    await using watcher = await Watcher.start(to, room, 'all');
    await until(() => watcher.messages.length === 10, { what: 'the first messages' });
    await to.manager.streams.delete(room.stream);
    await room.addStream();
    await room.publish(3, 10);
    await until(() => watcher.messages.length === 13, { what: 'the messages of the new stream', timeoutMs: 25_000 });
    expect(watcher.numbers).toEqual(upTo(13));
  });

  it('reports a stream that is gone once, and takes up again when it is back', async ({ expect }) => {
    await using own = await EmbeddedNatsServer.start();
    await using to = await connectTo(own);
    const room = await openRoom(to);
    await using watcher = await Watcher.start(to, room, 'all');
    await to.manager.streams.delete(room.stream);
    await until(() => watcher.errors.some((error) => error instanceof JetStreamRequestError), {
      what: 'the report',
      timeoutMs: 25_000,
    });
    await room.addStream();
    await room.publish(1);
    await until(() => watcher.messages.length === 1, { what: 'the message', timeoutMs: 10_000 });
    expect(watcher.errors.filter((error) => error instanceof JetStreamRequestError)).toHaveLength(1);
  });

  it('stops while the server is away', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using through = await connectTo(proxy);
    const room = await openRoom(connection);
    const watcher = await Watcher.start(through, room, 'all');
    proxy.rejectNew(true);
    proxy.cut();
    await until(() => through.status === 'disconnected', { what: 'the loss' });
    await watcher.stop();
    await until(async () => (await watchConsumers(connection, room)) === 0, {
      what: 'the server to remove the consumer by itself',
      timeoutMs: 25_000,
    });
    proxy.rejectNew(false);
  });
});
