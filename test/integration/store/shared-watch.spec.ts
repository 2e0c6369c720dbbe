import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConnectionError } from '../../../lib/common/errors.js';
import type { JetStreamManager } from '@nats-io/jetstream';
import { firstValueFrom, take, toArray } from 'rxjs';
import type { ObjectStore } from '../../../lib/store/engine/object-store.js';
import type { WatchEvent } from '../../../lib/store/engine/store-entry.js';
import type { WatchOptions } from '../../../lib/store/engine/watch-events.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { until } from '../../support/until.js';
import { openTallies, type Tallies, type Tally } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

async function consumersOf(manager: JetStreamManager, bucket: string): Promise<number> {
  return (await manager.streams.info(`KV_${bucket}`)).state.consumer_count;
}

/** A watch of all keys that collects what it is told, as `id=count`, `-id` and `|`. */
class Listener {
  readonly told: string[] = [];
  readonly revisions: number[] = [];
  private readonly controller = new AbortController();
  private readonly ended: Promise<void>;

  constructor(store: ObjectStore<Tallies>, options: WatchOptions = {}) {
    this.ended = (async () => {
      for await (const event of store.watch(undefined, { ...options, signal: this.controller.signal })) this.add(event);
    })();
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await this.ended;
  }

  private add(event: WatchEvent<Tally>): void {
    if (event.type === 'caught-up') this.told.push('|');
    else this.revisions.push(event.revision);
    if (event.type === 'value') this.told.push(`${event.key.text}=${event.state.count}`);
    if (event.type === 'deleted') this.told.push(`-${event.key.text}`);
  }
}

describe('watches of one pattern', () => {
  it('share one consumer; each is told what is there, and then every change once', async () => {
    await using at = await openTallies(server.url, { bucket: 'shared' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    const first = new Listener(store);
    await until(() => first.told.length === 2, { what: 'the first watch' });
    await store.update({ id: 'a' }, 1);
    const others = Array.from({ length: 20 }, () => new Listener(store));
    await until(() => others.every(({ told }) => told.length === 2), { what: 'the others to catch up' });
    await until(async () => (await consumersOf(connection.manager, 'shared')) === 1, { what: 'one consumer' });
    await store.update({ id: 'b' }, 5);
    await store.delete({ id: 'a' });
    await until(() => [first, ...others].every(({ told }) => told.at(-1) === '-a'), { what: 'the changes' });
    expect(first.told).toEqual(['a=1', '|', 'a=2', 'b=5', '-a']);
    for (const { told } of others) expect(told).toEqual(['a=2', '|', 'b=5', '-a']);
    // The first one leaves; the others stay.
    await first.stop();
    await store.update({ id: 'b' }, 1);
    await until(() => others.every(({ told }) => told.at(-1) === 'b=6'), { what: 'a change after it left' });
    expect(await consumersOf(connection.manager, 'shared')).toBe(1);
    await Promise.all(others.map((each) => each.stop()));
    expect(await consumersOf(connection.manager, 'shared')).toBe(0);
    // And it begins anew for the next.
    const next = new Listener(store);
    await until(() => next.told.includes('|'), { what: 'the next watch' });
    expect(next.told).toEqual(['-a', 'b=6', '|']);
    await next.stop();
  });

  it('tells those of what is new nothing that was there before', async () => {
    await using at = await openTallies(server.url, { bucket: 'fresh' });
    const { store, connection } = at;
    const first = new Listener(store, { from: 'new' });
    await until(() => first.told.length === 1, { what: 'the first watch' });
    await store.update({ id: 'a' }, 1);
    const second = new Listener(store, { from: 'new' });
    await until(() => second.told.length === 1, { what: 'the second watch' });
    await store.update({ id: 'a' }, 1);
    await until(() => second.told.length === 2 && first.told.length === 3, { what: 'the change' });
    expect(first.told).toEqual(['|', 'a=1', 'a=2']);
    expect(second.told).toEqual(['|', 'a=2']);
    expect(await consumersOf(connection.manager, 'fresh')).toBe(1);
    await Promise.all([first.stop(), second.stop()]);
  });

  it(
    'are told what is there, the mark, then the rest, when they begin in the middle of writes',
    { timeout: 60_000 },
    async () => {
      await using writing = await openTallies(server.url, { bucket: 'many' });
      await using watching = await openTallies(server.url, { bucket: 'many' });
      const keys = Array.from({ length: 8 }, (_, index) => `k${index}`);
      await Promise.all(keys.map((id) => writing.store.update({ id }, 1)));
      const listeners = [new Listener(watching.store)];
      const rounds = 60;
      const write = async (id: string): Promise<void> => {
        for (let round = 0; round < rounds; round++) {
          await writing.store.update({ id }, 1);
          if (round % 4 === 0) listeners.push(new Listener(watching.store));
        }
      };
      await Promise.all(keys.map(write));
      const isDone = ({ told }: Listener): boolean => keys.every((id) => told.includes(`${id}=${rounds + 1}`));
      await until(() => listeners.every(isDone), { what: 'the last values', timeoutMs: 45_000 });
      for (const { told, revisions } of listeners) {
        expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
        const atFirst = told.slice(0, told.indexOf('|')).map((each) => each.split('=')[0]);
        expect(atFirst).toEqual(expect.arrayContaining(keys));
      }
      await Promise.all(listeners.map((each) => each.stop()));
    },
  );

  it('miss nothing while they come and go under writes, cuts and a restart', { timeout: 90_000 }, async () => {
    await using own = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(own);
    await using writing = await openTallies(own.url, { bucket: 'busy', history: 64 });
    await using watching = await openTallies(proxy.url, { bucket: 'busy' });
    const keys = ['a', 'b', 'c'];
    const perKey = 60;
    const listeners: Listener[] = [];
    let written = 0;
    const write = async (id: string): Promise<void> => {
      for (let index = 0; index < perKey; index++) {
        await writing.store.update({ id }, 1);
        written += 1;
        if (written % 5 === 0) listeners.push(new Listener(watching.store));
        if (written % 15 === 0) await listeners.shift()?.stop();
      }
    };
    const disturb = async (): Promise<void> => {
      await until(() => written > 40, { what: 'some writes', timeoutMs: 30_000 });
      proxy.cut();
      await until(() => written > 80, { what: 'some writes', timeoutMs: 30_000 });
      await own.kill();
      await own.restart();
    };
    await Promise.all([disturb(), ...keys.map(write)]);
    const last = ['|', ...keys.map((id) => `${id}=${perKey}`)];
    const isDone = ({ told }: Listener): boolean => last.every((value) => told.includes(value));
    await until(() => listeners.every(isDone), { what: 'the last values', timeoutMs: 45_000 });
    expect(listeners.length).toBeGreaterThan(15);
    for (const { told, revisions } of listeners) {
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      expect(told.filter((each) => each === '|')).toHaveLength(1);
      for (const id of keys) {
        const counts = told.map((each) => (each.startsWith(`${id}=`) ? Number(each.slice(2)) : each));
        const mark = counts.indexOf('|');
        const isCount = (count: unknown): count is number => typeof count === 'number';
        // What is there may be replaced while it is being told; from the mark on every change is.
        const there = counts.slice(0, mark).findLast(isCount) ?? 0;
        expect(counts.slice(mark).filter(isCount)).toEqual(
          Array.from({ length: perKey - there }, (_, index) => there + 1 + index),
        );
      }
    }
    await until(async () => (await consumersOf(writing.connection.manager, 'busy')) === 1, {
      what: 'one consumer to be left',
      timeoutMs: 45_000,
    });
    await Promise.all(listeners.map((each) => each.stop()));
    expect(await consumersOf(writing.connection.manager, 'busy')).toBe(0);
  });

  it('all end with an error when the connection is closed', async () => {
    await using at = await openTallies(server.url, { bucket: 'closing' });
    const watches = [at.store.watch(), at.store.watch()];
    for (const watch of watches) expect((await watch.next()).value).toEqual({ type: 'caught-up' });
    const ends = watches.map((watch) => watch.next());
    await at.connection.close();
    for (const end of ends) {
      await expect(end).rejects.toThrow(ConnectionError);
      await expect(end).rejects.toThrow(/connection was closed/i);
    }
  });

  it('all fail to start when the bucket is gone', async () => {
    await using at = await openTallies(server.url, { bucket: 'gone' });
    await at.store.deleteBucket();
    const starts = [at.store.watch().next(), at.store.watch().next()];
    for (const start of starts) await expect(start).rejects.toThrow(/stream not found/i);
  });
});

describe('an observed store', () => {
  it('is watched by each subscription, from its start', async () => {
    await using at = await openTallies(server.url, { bucket: 'observed' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    const events = store.observe({ id: '*' });
    expect(await consumersOf(connection.manager, 'observed')).toBe(0);
    const both = await Promise.all([1, 2].map(() => firstValueFrom(events.pipe(take(2), toArray()))));
    for (const [value, marker] of both) {
      expect(value).toMatchObject({ type: 'value', state: { count: 1 }, isUpdate: false });
      expect(marker).toEqual({ type: 'caught-up' });
    }
    await until(async () => (await consumersOf(connection.manager, 'observed')) === 0, { what: 'no consumer' });
  });

  it('completes with its signal and fails with the watch', async () => {
    await using at = await openTallies(server.url, { bucket: 'signalled' });
    const { store } = at;
    const controller = new AbortController();
    const told: string[] = [];
    const listen = (signal: AbortSignal): Promise<string> =>
      new Promise((resolve) => {
        store.observe(undefined, { signal }).subscribe({
          next: ({ type }) => told.push(type),
          complete: () => resolve('complete'),
          error: (error: Error) => resolve(error.message),
        });
      });
    const ended = listen(controller.signal);
    await until(() => told.length === 1, { what: 'the watch to start' });
    controller.abort();
    expect(await ended).toBe('complete');
    expect(await listen(AbortSignal.abort())).toBe('complete');
    await store.deleteBucket();
    expect(await listen(new AbortController().signal)).toMatch(/stream not found/i);
  });

  it('leaves no consumer behind: 1,000 subscribed and unsubscribed', { timeout: 60_000 }, async () => {
    await using at = await openTallies(server.url, { bucket: 'unsubscribed' });
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    for (let round = 0; round < 20; round++) {
      const leftAtOnce = Array.from({ length: 25 }, () => store.observe().subscribe());
      const leftLater = Array.from({ length: 25 }, () => firstValueFrom(store.observe()));
      for (const subscription of leftAtOnce) subscription.unsubscribe();
      await Promise.all(leftLater);
    }
    await until(async () => (await consumersOf(connection.manager, 'unsubscribed')) === 0, {
      what: 'the consumers to go',
      timeoutMs: 20_000,
    });
  });
});
