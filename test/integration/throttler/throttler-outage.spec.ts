import { ThrottlerStorageService } from '@nestjs/throttler';
import { describe, expect, it } from 'vitest';
import { FlowError, OperationTimeoutError, OutcomeUnknownError } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { FlowThrottlerStorage, type FlowThrottlerStorageOptions } from 'nestjs-jetstream-flow/throttler';
import type { ConnectionOptions } from '../../../lib/connection/connection.options.js';
import { Coordination } from '../../../lib/coordination/coordination.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openRoom } from '../coordination/support/coordination-fixture.js';

const at = useFlowServer();
let names = 0;

/** A storage on a connection of its own, and what it says. */
async function openStorage(
  url: string,
  options: FlowThrottlerStorageOptions,
  connect: Partial<ConnectionOptions> = {},
) {
  const log = recordingLog();
  const opened = await openRoom(url, { log, connect });
  const coordination = opened.use(new Coordination(opened.room.environment));
  const name = `outage-${++names}`;
  return {
    ...opened,
    storage: new FlowThrottlerStorage(coordination, { name, ...options }),
    said: () =>
      log.lines
        .filter(({ message }) => message.includes(' decides by '))
        .map(({ level, message }) => `${level}: ${message.replace(name, 'NAME')}`),
  };
}

/** What a storage says once each when it goes over to something else, and back. */
function lines(means: string) {
  return [
    expect.stringContaining(`warn: FlowThrottlerStorage "NAME" decides by ${means} until the server answers: `),
    'log: FlowThrottlerStorage "NAME" decides by the server again.',
  ] as string[];
}

const WAYS = [
  ['allow', 'allow', '"allow"'],
  ['asks another storage', () => new ThrottlerStorageService(), 'the storage of onStoreError'],
] as const;

describe('FlowThrottlerStorage, without a server,', () => {
  it('throws, unless it is told otherwise', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using one = await openStorage(server.url, { timeout: 300 });
    await one.storage.increment('key', 60_000, 1, 0, 'test');
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    await expect(one.storage.increment('key', 60_000, 1, 0, 'test')).rejects.toThrow(FlowError);
    expect(one.said()).toEqual([]);
    await server.restart();
  });

  it.each(WAYS)('does as it is told, and says so: %s', async (_what, way, means) => {
    await using server = await EmbeddedNatsServer.start();
    const onStoreError = typeof way === 'string' ? way : way();
    // Nobody has to wait for it to pass: a lost connection is known.
    await using one = await openStorage(server.url, { onStoreError, timeout: '1h' });
    const hit = (key: string) => one.storage.increment(key, 60_000, 1, 0, 'test');
    await hit('key');
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    expect(await hit('key')).toMatchObject({ isBlocked: false });
    // Nobody counts; or the other storage, from its beginning.
    expect(await hit('key')).toMatchObject({ isBlocked: typeof way !== 'string' });
    await server.restart();
    await until(() => one.connection.status === 'connected', { what: 'the connection to be back' });
    await hit('back');
    await hit('again');
    expect(one.said()).toEqual(lines(means));
  });
});

describe('FlowThrottlerStorage, when the server is silent,', () => {
  it('throws, unless it is told otherwise', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using one = await openStorage(proxy.url, { timeout: 200 });
    // Opening it may take longer than its timeout.
    await until(() => one.storage.increment('opening', 60_000, 50, 0, 'test'), { what: 'the bucket' });
    await one.storage.increment('key', 60_000, 5, 0, 'test');
    proxy.dropRepliesAfter(0);
    const error: unknown = await one.storage.increment('key', 60_000, 5, 0, 'test').catch((thrown: unknown) => thrown);
    expect(error instanceof OperationTimeoutError || error instanceof OutcomeUnknownError).toBe(true);
    expect(one.connection.status).toBe('connected');
    proxy.restore();
  });

  it.each(WAYS)('does as it is told after the timeout: %s', async (_what, way, means) => {
    await using proxy = await CuttingProxy.start(at.server);
    const onStoreError = typeof way === 'string' ? way : way();
    await using one = await openStorage(proxy.url, { onStoreError, timeout: 200 });
    const hit = (key = 'key') => one.storage.increment(key, 60_000, 50, 0, 'test');
    // Opening it may take longer than its timeout: then it says so, and that the server decides again.
    await until(async () => (await hit('opening')).totalHits > 0 && one.said().length % 2 === 0, {
      what: 'the bucket',
    });
    const before = one.said().length;
    expect(await hit()).toMatchObject({ totalHits: 1 });
    proxy.dropRepliesAfter(0);
    for (let silent = 0; silent < 2; silent++) expect(await hit()).toMatchObject({ isBlocked: false });
    expect(one.connection.status).toBe('connected');
    expect(one.said().slice(before)).toEqual(lines(means).slice(0, 1));
    proxy.restore();
    // Its own count again: the first hit is there, and of those whose reply was lost all or some.
    await until(async () => (await hit()).totalHits > 2 && one.said().length === before + 2, {
      what: 'the server to answer',
    });
    expect(one.said().slice(before)).toEqual(lines(means));
  });
});

describe('FlowThrottlerStorage, when the server is silent at the first hit,', () => {
  it.each(['throw', 'allow'] as const)(
    'does as it is told after its timeout, whatever time requests have: %s',
    async (onStoreError) => {
      await using proxy = await CuttingProxy.start(at.server);
      await using one = await openStorage(
        proxy.url,
        { onStoreError, timeout: 200 },
        { requestTimeout: '1h', publishTimeout: '1h' },
      );
      const hit = () => one.storage.increment('key', 60_000, 50, 0, 'test');
      proxy.holdReplies();
      if (onStoreError === 'throw') await expect(hit()).rejects.toThrow('took longer than 200 ms');
      else expect(await hit()).toMatchObject({ totalHits: 0, isBlocked: false });
      proxy.deliverReplies();
      await until(async () => (await hit()).totalHits >= 1, { what: 'the server to count' });
    },
  );
});
