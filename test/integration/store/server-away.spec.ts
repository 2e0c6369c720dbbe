import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConnectionError, JetStreamRequestError, OperationTimeoutError } from '../../../lib/common/errors.js';
import { UNCHANGED } from '../../../lib/store/engine/change.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { until } from '../../support/until.js';
import { collect, openTallies } from './store-fixture.js';

const away = (connection: { readonly status: string }) =>
  until(() => connection.status === 'disconnected', { what: 'the loss of the connection' });

describe('a server that is away for a moment', { timeout: 60_000 }, () => {
  it('is waited for by every operation', async () => {
    await using server = await EmbeddedNatsServer.start();
    const transactions = server.version.startsWith('2.9.') ? {} : { transactions: true };
    await using at = await openTallies(server.url, { history: 3, ...transactions });
    const { store } = at;
    for (const id of ['updated', 'modified', 'seen', 'reset', 'deleted', 'purged', 'read'])
      await store.update({ id }, 5);
    await server.kill();
    await away(at.connection);
    const asked = Promise.all([
      store.update({ id: 'updated' }, 1),
      store.update({ id: 'new' }, 1),
      store.modify({ id: 'modified' }, (draft) => void (draft.count *= 3)),
      store.modify({ id: 'seen' }, () => UNCHANGED),
      store.reset({ id: 'reset' }),
      store.delete({ id: 'deleted' }),
      store.purge({ id: 'purged' }),
      store.read({ id: 'read' }),
      store.read({ id: 'read' }, { consistency: 'any' }),
      store.readMany([{ id: 'read' }, { id: 'none' }]),
      collect(store.keys({ id: 'read' })),
      collect(store.entries({ id: 'read' })),
      store.history({ id: 'read' }),
      store.status(),
    ]);
    const moved =
      'transactions' in transactions &&
      store.transaction([{ id: 'one' }, { id: 'two' }], ([one, two]) => {
        one!.count += 1;
        two!.count += 2;
      });
    await server.restart();
    const [updated, made, modified, seen, reset, deleted, purged, read, any, many, keys, entries, history, status] =
      await asked;
    const states = [updated, made, modified, seen, reset, read, any, ...many];
    expect(states.map((state) => state?.count)).toEqual([6, 1, 15, 5, 0, 5, 5, 5, undefined]);
    expect([deleted, purged]).toEqual([true, true]);
    expect([keys.length, entries.length, history.length]).toEqual([1, 1, 1]);
    expect(status.lastRevision).toBeGreaterThanOrEqual(7);
    if (moved !== false) expect((await moved).map((state) => state?.count)).toEqual([1, 2]);
    const left = (await collect(store.entries())).map(({ key, state }) => `${key.text}=${state.count}`).toSorted();
    const more = moved === false ? [] : ['one=1', 'two=2'];
    const expected = ['modified=15', 'new=1', 'read=5', 'reset=0', 'seen=5', 'updated=6', ...more];
    expect(left).toEqual(expected.toSorted());
  });

  it('is waited for by the deletion of the bucket', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url);
    await server.kill();
    await away(at.connection);
    const deleted = at.store.deleteBucket();
    await server.restart();
    await deleted;
    await expect(at.store.status()).rejects.toThrow('Is the bucket deleted, or not provisioned yet?');
    await expect(at.store.deleteBucket()).rejects.toThrow('Is the bucket deleted, or not provisioned yet?');
  });

  it('is not waited for beyond the timeout when it is there and silent', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, { timeout: '400ms' }, { requestTimeout: '1h' });
    await at.store.update({ id: 'a' }, 1);
    proxy.holdReplies();
    const read = at.store.read({ id: 'a' });
    await expect(read).rejects.toThrow(ConnectionError);
    await expect(read).rejects.toThrow(/To read "a" in bucket .* took longer than \d+ ms/);
    await expect(at.store.status()).rejects.toThrow(/To look at bucket "tallies" took longer than \d+ ms/);
    await expect(at.store.deleteBucket()).rejects.toThrow(/To delete bucket "tallies" took longer than \d+ ms/);
    proxy.deliverReplies();
    expect((await at.store.read({ id: 'a' }))?.count).toBe(1);
  });

  it('is not waited for beyond the timeout, and nothing is applied later', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url, { timeout: '400ms' });
    await at.store.update({ id: 'a' }, 1);
    await server.kill();
    await away(at.connection);
    // Nothing is remembered any more, so the first thing is to look.
    await expect(at.store.update({ id: 'a' }, 1)).rejects.toThrow(OperationTimeoutError);
    await server.restart();
    const state = await until(() => at.store.update({ id: 'a' }, 10), { what: 'the store to go on' });
    expect(state.count).toBe(11);
  });
});

describe('a bucket whose deletion is not answered', { timeout: 60_000 }, () => {
  it('is deleted once: not the next one of its name', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await using other = await openTallies(server.url);
    const { streams } = other.connection.manager;
    const { nats } = at.connection;
    const before = nats.stats().inBytes;
    await at.store.status();
    // The look before the deletion is let through, with its line of protocol and half of the next.
    proxy.dropRepliesAfter(nats.stats().inBytes - before + 110);
    const deleted = at.store.deleteBucket();
    const names = async (): Promise<string[]> => await collect(streams.names());
    await until(async () => !(await names()).includes('KV_tallies'), { what: 'the bucket to go' });
    await using again = await openTallies(server.url);
    await again.store.update({ id: 'a' }, 1);
    proxy.restore();
    await deleted;
    expect((await again.store.read({ id: 'a' }))?.count).toBe(1);
  });
});

describe('a bucket that is gone', { timeout: 60_000 }, () => {
  it('is an error that says so, until there is one again', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using at = await openTallies(server.url, { timeout: '3s' }, { publishTimeout: '1s' });
    await using other = await openTallies(server.url);
    const key = { id: 'a' };
    await at.store.update(key, 1);
    await other.store.deleteBucket();
    // Once on what is remembered, once on a read.
    for (let time = 0; time < 2; time++) await expect(at.store.update(key, 1)).rejects.toThrow(JetStreamRequestError);
    await expect(at.store.update(key, 1)).rejects.toThrow('Is the bucket deleted, or not provisioned yet?');
    // Of a bucket that is gone, 2.9 does not say at once that no replica answers.
    const answering = server.version.startsWith('2.9.') ? (['leader'] as const) : (['leader', 'any'] as const);
    for (const consistency of answering)
      await expect(at.store.read(key, { consistency })).rejects.toThrow(
        'Is the bucket deleted, or not provisioned yet?',
      );
    await using again = await openTallies(server.url);
    expect((await at.store.update(key, 1)).count).toBe(1);
    expect((await again.store.read(key))?.count).toBe(1);
  });

  it('of memory, lost with its server, is counted in from nothing when it is made again', async () => {
    await using server = await EmbeddedNatsServer.start();
    const memory = { storage: 'memory', timeout: '20s' } as const;
    await using at = await openTallies(server.url, memory);
    const keys = Array.from({ length: 5 }, (_, index) => ({ id: `k${index}` }));
    for (const key of keys) for (let count = 0; count < 5; count++) await at.store.update(key, 100);
    await server.kill();
    await away(at.connection);
    await server.restart();
    await using again = await openTallies(server.url, memory);
    // Its revisions begin anew: what was remembered would fit some of them by chance.
    for (let count = 0; count < 5; count++) for (const key of keys) await again.store.update(key, 1);
    const states = await Promise.all(keys.map((key) => at.store.update(key, 1)));
    expect(states.map((state) => state.count)).toEqual([6, 6, 6, 6, 6]);
  });
});
