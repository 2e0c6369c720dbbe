import { getEventListeners } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { CancelledError, PublishTimeoutError } from '../../../lib/common/errors.js';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { PublishResult } from '../../../lib/connection/publisher.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';

const small = new TextEncoder().encode('x');

describe('a publish with a signal', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  it('gives up: before, while waiting for a place, and in flight', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url, maxPublishesInFlight: 1 }, silentLog);
    await using other = await connectForTest(server);
    const arrived: string[] = [];
    other.subscribe('mute.*', { callback: (_error, message) => void arrived.push(message.subject) });
    await other.flush();
    const { publisher } = connection;
    const reason = new Error('enough');
    await expect(publisher.publish('mute.0', small, { signal: AbortSignal.abort(reason) })).rejects.toMatchObject({
      code: 'CANCELLED',
      cause: reason,
    });

    const inFlight = new AbortController();
    const waiting = new AbortController();
    const first = publisher.publish('mute.1', small, { signal: inFlight.signal });
    const second = publisher.publish('mute.2', small, { signal: waiting.signal });
    const third = publisher.publish('mute.3', small, { timeoutMs: 200 });
    expect([publisher.inFlight, publisher.waiting]).toEqual([1, 2]);
    waiting.abort(reason);
    await expect(second).rejects.toBeInstanceOf(CancelledError);
    expect([publisher.inFlight, publisher.waiting]).toEqual([1, 1]);
    inFlight.abort();
    await expect(first).rejects.toBeInstanceOf(CancelledError);
    await expect(third).rejects.toBeInstanceOf(PublishTimeoutError);
    await until(() => arrived.length === 2, { what: 'the two messages that were sent' });
    expect(arrived).toEqual(['mute.1', 'mute.3']);
    expect([publisher.inFlight, publisher.waiting]).toEqual([0, 0]);
  });

  it('listens once to it, however many have the same, and gives all of them up', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url, maxPublishesInFlight: 5 }, silentLog);
    await using other = await connectForTest(server);
    const arrived: string[] = [];
    other.subscribe('silent.*', { callback: (_error, message) => void arrived.push(message.subject) });
    await other.flush();
    const { publisher } = connection;
    const controller = new AbortController();
    const { signal } = controller;
    const publish = (count: number): Promise<PublishResult>[] =>
      Array.from({ length: count }, (_, n) => publisher.publish(`silent.${n}`, small, { signal }));
    const all = Promise.allSettled(publish(1_000));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await connection.flush();
    controller.abort();
    expect(new Set((await all).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect([publisher.inFlight, publisher.waiting]).toEqual([0, 0]);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    await connection.flush();
    await other.flush();
    expect(arrived).toHaveLength(5);
  });

  it('stops listening when it is needed no more', async () => {
    await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
    const { signal } = new AbortController();
    const ends = [1, 2].map(() => connection.publisher.publish('nobody.listens', small, { signal, timeoutMs: 100 }));
    await Promise.allSettled(ends);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
