import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import type { JetStreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { WatchEvent } from '../../../lib/store/engine/store-entry.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { until } from '../../support/until.js';
import { collect, openTallies, type Tally } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

/** An event in short: `id=count`, `-id`, `|`. */
function short(event: WatchEvent<Tally>): string {
  if (event.type === 'caught-up') return '|';
  if (event.type === 'value') return `${event.key.parts.join('/')}=${event.state.count}`;
  return event.type === 'deleted' ? `-${event.key.text}` : `!${event.key.text}`;
}

/** Collects a watch's events until it ends. */
function follow(watch: AsyncIterable<WatchEvent<Tally>>): { events: WatchEvent<Tally>[]; ended: Promise<void> } {
  const events: WatchEvent<Tally>[] = [];
  const ended = (async () => {
    for await (const event of watch) events.push(event);
  })();
  return { events, ended };
}

async function consumersOf(manager: JetStreamManager, bucket: string): Promise<number> {
  return (await manager.streams.info(`KV_${bucket}`)).state.consumer_count;
}

describe('a watch', () => {
  it('tells what is there, that it has, and then every change', async () => {
    await using at = await openTallies(server.url, { bucket: 'plain' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    await store.update({ id: 'b.c' }, 2);
    const controller = new AbortController();
    const { events, ended } = follow(store.watch(undefined, { signal: controller.signal }));
    await until(() => events.length === 3, { what: 'the first values' });
    await store.update({ id: 'a' }, 1);
    await store.delete({ id: 'b.c' });
    await store.purge({ id: 'a' });
    await until(() => events.length === 6, { what: 'the changes' });
    expect(events.map(short)).toEqual(['a=1', 'b.c=2', '|', 'a=2', '-b=2Ec', '-a']);
    expect(
      events.filter(({ type }) => type !== 'caught-up').map((event) => 'isUpdate' in event && event.isUpdate),
    ).toEqual([false, false, true, true, true]);
    controller.abort();
    await ended;
    expect(await consumersOf(connection.manager, 'plain')).toBe(0);
  });

  it('follows one key or only what is new', async () => {
    await using at = await openTallies(server.url, { bucket: 'some' });
    const { store } = at;
    await store.update({ id: 'a' }, 1);
    const controller = new AbortController();
    const one = follow(store.watch({ id: 'a' }, { signal: controller.signal }));
    const fresh = follow(store.watch({ id: '*' }, { from: 'new', signal: controller.signal }));
    await until(() => one.events.length === 2 && fresh.events.length === 1, { what: 'both to catch up' });
    await store.update({ id: 'b' }, 1);
    await store.update({ id: 'a' }, 1);
    await until(() => fresh.events.length === 3, { what: 'the changes' });
    await until(() => one.events.length === 3, { what: 'the change' });
    expect(one.events.map(short)).toEqual(['a=1', '|', 'a=2']);
    expect(fresh.events.map(short)).toEqual(['|', 'b=1', 'a=2']);
    controller.abort();
    await Promise.all([one.ended, fresh.ended]);
  });

  it('goes on past a value that does not decode', async () => {
    await using at = await openTallies(server.url, { bucket: 'undecodable' });
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open('undecodable');
    await kv.put('bad', 'x');
    await at.store.update({ id: 'good' }, 1);
    const controller = new AbortController();
    const { events, ended } = follow(at.store.watch({ id: '*' }, { signal: controller.signal }));
    await until(() => events.length === 3, { what: 'the values' });
    expect(events.map(short)).toEqual(['!bad', 'good=1', '|']);
    controller.abort();
    await ended;
  });

  it('misses nothing and repeats nothing over cut connections and server kills', { timeout: 120_000 }, async () => {
    await using own = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(own);
    await using watching = await openTallies(proxy.url, { bucket: 'healing', history: 64 });
    await using writing = await openTallies(own.url, { bucket: 'healing', history: 64, timeout: '60s' });
    const keys = ['a', 'b', 'c', 'd'];
    for (const id of keys) await writing.store.update({ id }, 1);
    const controller = new AbortController();
    const { events, ended } = follow(watching.store.watch({ id: '*' }, { signal: controller.signal }));
    await until(() => events.length === 5, { what: 'the first values' });
    const perKey = 40;
    let written = 0;
    const disturb = async (): Promise<void> => {
      await until(() => written > 30, { what: 'some writes' });
      proxy.cut();
      await until(() => written > 60, { what: 'some writes' });
      await own.kill();
      await own.restart();
      await until(() => written > 90, { what: 'some writes', timeoutMs: 30_000 });
      proxy.dropRepliesAfter(0);
      await until(() => written > 120, { what: 'some writes', timeoutMs: 30_000 });
      proxy.restore();
    };
    await Promise.all([
      disturb(),
      ...keys.map(async (id) => {
        for (let index = 0; index < perKey; index++) {
          await writing.store.update({ id }, 1);
          written += 1;
        }
      }),
    ]);
    await until(() => keys.every((id) => events.some((event) => short(event) === `${id}=${perKey + 1}`)), {
      what: 'the last values',
      timeoutMs: 30_000,
    });
    controller.abort();
    await ended;
    const told = events.flatMap((event) => (event.type === 'value' ? [event] : []));
    const revisions = told.map(({ revision }) => revision);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    // With enough history nothing was replaced before it could be told.
    for (const id of keys) {
      const counts = told.filter(({ key }) => key.text === id).map(({ state }) => state.count);
      expect(counts).toEqual(Array.from({ length: perKey + 1 }, (_, index) => index + 1));
    }
    expect(events.filter(({ type }) => type === 'caught-up')).toHaveLength(1);
    await until(async () => (await consumersOf(writing.connection.manager, 'healing')) === 0, {
      what: 'the consumers to go',
      timeoutMs: 45_000,
    });
  });

  it('notices when its consumer is deleted', async () => {
    await using at = await openTallies(server.url, { bucket: 'deleted' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    const controller = new AbortController();
    const { events, ended } = follow(store.watch(undefined, { signal: controller.signal }));
    await until(() => events.length === 2, { what: 'the first values' });
    const [consumer] = await connection.manager.consumers.list('KV_deleted').next();
    await connection.manager.consumers.delete('KV_deleted', consumer!.name);
    await store.update({ id: 'a' }, 1);
    await until(() => events.length === 3, { what: 'the change', timeoutMs: 25_000 });
    expect(events.map(short)).toEqual(['a=1', '|', 'a=2']);
    controller.abort();
    await ended;
  });

  it('begins anew when the bucket is deleted and made again', { timeout: 60_000 }, async () => {
    await using at = await openTallies(server.url, { bucket: 'again' });
    await at.store.update({ id: 'a' }, 1);
    await at.store.update({ id: 'a' }, 1);
    const controller = new AbortController();
    const { events, ended } = follow(at.store.watch(undefined, { signal: controller.signal }));
    await until(() => events.length === 2, { what: 'the first values' });
    await at.store.deleteBucket();
    await using next = await openTallies(server.url, { bucket: 'again' });
    await next.store.update({ id: 'a' }, 7);
    await until(() => events.some((event) => short(event) === 'a=7'), { what: 'the new value', timeoutMs: 30_000 });
    controller.abort();
    await ended;
  });

  it('leaves no consumer behind: 1,000 opened and closed', { timeout: 60_000 }, async () => {
    await using at = await openTallies(server.url, { bucket: 'leaks' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          for await (const event of store.watch()) if (event.type === 'caught-up') break;
        }),
      );
    }
    expect(await consumersOf(connection.manager, 'leaks')).toBe(0);
  });

  it('keeps only the newest of each key for a reader that is far behind', async () => {
    await using at = await openTallies(server.url, { bucket: 'behind', history: 64 });
    const { store } = at;
    const watch = store.watch();
    expect((await watch.next()).value).toEqual({ type: 'caught-up' });
    for (let round = 0; round < 150; round++) {
      await Promise.all(Array.from({ length: 20 }, (_, id) => store.update({ id: String(id) }, 1)));
    }
    const seen: WatchEvent<Tally>[] = [];
    for await (const event of watch) {
      seen.push(event);
      if (new Set(seen.filter((one) => short(one).endsWith('=150')).map(short)).size === 20) break;
    }
    expect(seen.length).toBeLessThan(2_000);
    const revisions = seen.map((event) => ('revision' in event ? event.revision : 0));
    expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
  });
});

describe('listing', () => {
  it('gives keys, entries and history', async () => {
    await using at = await openTallies(server.url, { bucket: 'listing', history: 5 });
    const { store, connection } = at;
    const ids = Array.from({ length: 1_000 }, (_, index) => String(index));
    await Promise.all(ids.map((id) => store.update({ id }, Number(id))));
    await store.delete({ id: '7' });
    const keys = await collect(store.keys());
    expect(keys.map(({ text }) => text).sort()).toEqual(ids.filter((id) => id !== '7').sort());
    let sum = 0;
    for await (const { state } of store.entries({ id: '*' })) sum += state.count;
    expect(sum).toBe(499_500 - 7);
    expect((await collect(store.keys({ id: '5' }))).map(String)).toEqual(['5']);
    await store.update({ id: '7' }, 1);
    const history = await store.history({ id: '7' });
    expect(history.map((revision) => short(revision))).toEqual(['7=7', '-7', '7=1']);
    expect(await store.history({ id: 'never' })).toEqual([]);
    expect((await store.status()).keys).toBe(1_000);
    expect(await consumersOf(connection.manager, 'listing')).toBe(0);
  });
});
