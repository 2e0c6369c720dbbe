import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JetStreamManager } from '@nats-io/jetstream';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import type { WatchEvent } from '../../../lib/store/engine/store-entry.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { until } from '../../support/until.js';
import { openTallies, type Tally } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

/** Values as their counts, the mark as `|`. */
function counts(events: readonly WatchEvent<Tally>[]): (number | '|')[] {
  const told: (number | '|')[] = [];
  for (const event of events) {
    if (event.type === 'value') told.push(event.state.count);
    if (event.type === 'caught-up') told.push('|');
  }
  return told;
}

/** What the only consumer of a bucket is, and how far. */
async function onlyConsumer(manager: JetStreamManager, bucket: string) {
  const consumer = await manager.consumers.list(`KV_${bucket}`).next();
  if (consumer.length !== 1) throw new Error(`${consumer.length} consumers`);
  return consumer[0]!;
}

describe('a reader that is far behind', () => {
  it('is told what is there before the mark, whatever comes behind it', async () => {
    await using at = await openTallies(server.url, { bucket: 'marked', history: 64 });
    const { store, connection } = at;
    const ids = Array.from({ length: 20 }, (_, index) => `k${index}`);
    await Promise.all(ids.map((id) => store.update({ id }, 1)));
    const watch = store.watch();
    const seen = [(await watch.next()).value as WatchEvent<Tally>];
    const rounds = 100;
    for (let round = 0; round < rounds; round++) await Promise.all(ids.map((id) => store.update({ id }, 1)));
    // All of it waits here, and not on the server.
    await until(async () => (await onlyConsumer(connection.manager, 'marked')).delivered.consumer_seq >= 20 * 101, {
      what: 'everything to be delivered',
    });
    for await (const event of watch) {
      seen.push(event);
      if (counts(seen).filter((count) => count === rounds + 1).length === ids.length) break;
    }
    const mark = seen.findIndex(({ type }) => type === 'caught-up');
    const told = seen.slice(0, mark).map((event) => event.type === 'value' && [event.key.text, event.isUpdate]);
    expect(told).toEqual(expect.arrayContaining(ids.map((id) => [id, false])));
    expect(seen.length).toBeLessThan(20 * 101);
  });
});

describe('a watch from the history', () => {
  it('is told every revision that is kept, the mark, and then every change', async () => {
    await using at = await openTallies(server.url, { bucket: 'history', history: 64 });
    const { store } = at;
    const key = { id: 'a' };
    for (let count = 0; count < 3; count++) await store.update(key, 1);
    await store.delete(key);
    await store.update({ id: 'b' }, 7);
    const watch = store.watch(undefined, { from: 'history' });
    const events: WatchEvent<Tally>[] = [];
    for await (const event of watch) {
      events.push(event);
      if (event.type === 'caught-up') {
        await store.update(key, 5);
        await store.update(key, 1);
      }
      if (events.length === 8) break;
    }
    expect(events.map(({ type }) => type)).toEqual([
      ...['value', 'value', 'value', 'deleted', 'value', 'caught-up', 'value', 'value'],
    ]);
    expect(counts(events)).toEqual([1, 2, 3, 7, '|', 5, 6]);
    expect(events.map((event) => 'isUpdate' in event && event.isUpdate)).toEqual([
      ...[false, false, false, false, false, false, true, true],
    ]);
  });

  it('misses none for a reader that is far behind', async () => {
    await using at = await openTallies(server.url, { bucket: 'whole', history: 64 });
    const { store } = at;
    const ids = Array.from({ length: 40 }, (_, index) => `k${index}`);
    const write = async (): Promise<void> => {
      for (let round = 0; round < 32; round++) await Promise.all(ids.map((id) => store.update({ id }, 1)));
    };
    await write();
    const watch = store.watch(undefined, { from: 'history' });
    const seen = [(await watch.next()).value as WatchEvent<Tally>];
    await write();
    for await (const event of watch) {
      seen.push(event);
      if (seen.length === 64 * 40 + 1) break;
    }
    const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);
    for (const id of ids) {
      const own = seen.filter((event) => event.type === 'value' && event.key.text === id);
      expect(counts(own)).toEqual(upTo(64));
    }
    expect(seen.findIndex(({ type }) => type === 'caught-up')).toBeGreaterThanOrEqual(32 * 40);
  });

  it('is fetched at the pace of its reader', { timeout: 60_000 }, async () => {
    await using at = await openTallies(server.url, { bucket: 'pace', history: 64 });
    await using plain = await connectForTest(server);
    const { store, connection } = at;
    const by = 'x'.repeat(20_000);
    const ids = Array.from({ length: 64 }, (_, index) => `k${index}`);
    for (let round = 0; round < 48; round++)
      await Promise.all(ids.map((id) => store.modify({ id }, (draft) => void ((draft.count += 1), (draft.by = [by])))));
    const all = ids.length * 48;
    const watch = store.watch(undefined, { from: 'history' });
    expect((await watch.next()).done).toBe(false);
    const consumer = await onlyConsumer(connection.manager, 'pace');
    // The server says in its heartbeats that it waits for the reader.
    for await (const message of plain.subscribe(consumer.config.deliver_subject!))
      if (message.headers?.get('Nats-Consumer-Stalled')) break;
    const { num_pending: pending, delivered } = await onlyConsumer(connection.manager, 'pace');
    expect(pending).toBeGreaterThan(0);
    expect(delivered.consumer_seq).toBeLessThan(all);
    // And it goes on where it was.
    let told = 1;
    for await (const event of watch) {
      if (event.type === 'caught-up') break;
      told += 1;
    }
    expect(told).toBe(all);
  });
});
