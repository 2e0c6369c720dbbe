import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JetStreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { DecodeError, JetStreamRequestError } from '../../../lib/common/errors.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { until } from '../../support/until.js';
import { collect, openTallies, type Tallies } from './store-fixture.js';
import type { ObjectStore } from '../../../lib/store/engine/object-store.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

async function consumersOf(manager: JetStreamManager, bucket: string) {
  return manager.consumers.list(`KV_${bucket}`).next();
}

async function fill(store: ObjectStore<Tallies>, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => store.update({ id: `k${index}` }, 1)));
}

describe('a listing that is left early', () => {
  it('leaves no consumer on the server', async () => {
    await using at = await openTallies(server.url, { bucket: 'left' });
    const { store, connection } = at;
    // Sooner than the server would remove one by itself, by far.
    const noneLeft = (): Promise<boolean> =>
      until(async () => (await consumersOf(connection.manager, 'left')).length === 0, { what: 'no consumer' });
    await fill(store, 1_000);
    for await (const key of store.keys()) {
      expect(key.text).toMatch(/^k\d+$/);
      expect(await consumersOf(connection.manager, 'left')).toHaveLength(1);
      break;
    }
    await noneLeft();
    const failing = async (): Promise<void> => {
      for await (const { key } of store.entries()) throw new RangeError(key.text);
    };
    await expect(failing()).rejects.toThrow(RangeError);
    await noneLeft();
  });

  it('ends without an error when its signal aborts', async () => {
    await using at = await openTallies(server.url, { bucket: 'aborted' });
    const { store, connection } = at;
    await fill(store, 1_000);
    const controller = new AbortController();
    const { signal } = controller;
    let told = 0;
    for await (const entry of store.entries(undefined, { signal })) {
      told += entry.state.count;
      if (told === 10) controller.abort();
    }
    expect(told).toBe(10);
    expect(await consumersOf(connection.manager, 'aborted')).toHaveLength(0);
    expect(await collect(store.keys(undefined, { signal }))).toEqual([]);
  });
});

describe('a listing of many entries', () => {
  it('is fetched at the pace of its reader', async () => {
    await using at = await openTallies(server.url, { bucket: 'paged' });
    const { store, connection } = at;
    await fill(store, 2_000);
    let told = 0;
    for await (const entry of store.entries()) {
      told += entry.state.count;
      if (told % 100 !== 0) continue;
      const [consumer] = await consumersOf(connection.manager, 'paged');
      const ahead = (consumer?.delivered.consumer_seq ?? 0) - told;
      expect(ahead).toBeLessThan(256);
    }
    expect(told).toBe(2_000);
  });
});

describe('an entry that does not decode', () => {
  it('ends the listing with the error, unless somebody takes it; keys are listed all the same', async () => {
    await using at = await openTallies(server.url, { bucket: 'undecodable' });
    await using plain = await connectForTest(server);
    const { store, connection } = at;
    await store.update({ id: 'a' }, 1);
    await (await new Kvm(plain).open('undecodable')).put('bad', 'x');
    await store.update({ id: 'c' }, 3);
    const told: string[] = [];
    const listing = async (): Promise<void> => {
      for await (const { key } of store.entries()) told.push(key.text);
    };
    await expect(listing()).rejects.toThrow(DecodeError);
    expect(told).toEqual(['a']);
    expect(await consumersOf(connection.manager, 'undecodable')).toHaveLength(0);
    const errors: [string, Error][] = [];
    const entries = await collect(
      store.entries(undefined, { onUndecodable: (key, error) => errors.push([key.text, error]) }),
    );
    expect(entries.map(({ key, state }) => [key.text, state.count])).toEqual([
      ['a', 1],
      ['c', 3],
    ]);
    expect(errors).toEqual([['bad', expect.any(DecodeError)]]);
    expect((await collect(store.keys())).map(({ text }) => text)).toEqual(['a', 'bad', 'c']);
  });
});

describe('the size of a bucket', () => {
  it('is told by its status', async () => {
    await using at = await openTallies(server.url, { bucket: 'size' });
    const { store, connection } = at;
    expect(await store.status()).toEqual({ bucket: 'size', keys: 0, bytes: 0, lastRevision: 0 });
    await store.modify({ id: 'a' }, (draft) => void (draft.by = ['x'.repeat(10_000)]));
    const { bytes, ...status } = await store.status();
    expect(status).toEqual({ bucket: 'size', keys: 1, lastRevision: 1 });
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBe((await connection.manager.streams.info('KV_size')).state.bytes);
  });

  it('is bounded by maxBytes: nothing is thrown away for what is new', async () => {
    await using at = await openTallies(server.url, { bucket: 'bounded', maxBytes: 20_000, timeout: '2s' });
    const { store } = at;
    const write = (id: string) => store.modify({ id }, (draft) => void (draft.by = ['x'.repeat(8_000)]));
    await write('a');
    await write('b');
    const refused = await write('c').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(JetStreamRequestError);
    expect(String(refused)).toMatch(/maximum bytes exceeded/);
    expect((await collect(store.keys())).map(String)).toEqual(['a', 'b']);
    expect((await store.status()).bytes).toBeLessThanOrEqual(20_000);
    await store.purge({ id: 'a' });
    expect((await write('c')).by).toHaveLength(1);
  });
});
