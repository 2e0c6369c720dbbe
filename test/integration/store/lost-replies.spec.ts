import { jetstreamManager } from '@nats-io/jetstream';
import { Kvm, type KV } from '@nats-io/kv';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { OutcomeUnknownError } from '../../../lib/common/errors.js';
import type { ObjectStore } from '../../../lib/store/engine/object-store.js';
import type { TransactionOptions } from '../../../lib/store/engine/transactions.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';
import { openTallies, type Tallies, type Tally } from './store-fixture.js';
import { a, b, counts } from './transaction-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

const key = { id: 'k' };

type Between = (kv: KV, other: ObjectStore<Tallies>) => Promise<unknown>;

const reads = (store: ObjectStore<Tallies>, count: number | undefined, what: string) =>
  until(async () => (await store.read(key))?.count === count, { what });

describe('an update whose reply is lost, and whose mark is lost after it', () => {
  it.each<[what: string, between: Between, after: number]>([
    ['a put of another client', (kv) => kv.put('k', '{"count":50,"by":[]}'), 51],
    ['a deletion by another client', (kv) => kv.delete('k'), 1],
    ['a purge by another client', (kv) => kv.purge('k'), 1],
  ])('by %s, is not repeated when a store has written since', async (what, between, after) => {
    const options = { bucket: `marks_${what.replaceAll(' ', '_')}` };
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, options);
    await using other = await openTallies(server.url, options);
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open(options.bucket);
    await at.store.update(key, 1);
    proxy.dropRepliesAfter(0);
    const update = at.store.update(key, 10);
    await reads(other.store, 11, 'the write without a reply');
    await between(kv, other.store);
    expect((await other.store.update(key, 1)).count).toBe(after);
    proxy.restore();
    await expect(update).rejects.toThrow(OutcomeUnknownError);
    expect((await at.store.update(key, 1)).count).toBe(after + 1);
  });

  it('by its expiry, is not repeated when a store has made the entry anew', async (context) => {
    needsServer(context, server, '2.11', 'a time to live per entry');
    const options = { bucket: 'expired', entryTtl: true };
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, options);
    await using other = await openTallies(server.url, options);
    for (const base of [1, undefined]) {
      if (base !== undefined) await at.store.update(key, base);
      else await reads(other.store, undefined, 'nothing to be there');
      // Between its read and its write.
      let runs = 0;
      const lose = (draft: Tally): void => {
        draft.count += 10;
        runs += 1;
        if (runs === 1) proxy.dropRepliesAfter(0);
      };
      const update = at.store.modify(key, lose, { ttl: '1s' });
      await reads(other.store, 10 + (base ?? 0), 'the write without a reply');
      await reads(other.store, undefined, 'the expiry');
      await other.store.update(key, 100, { ttl: '2s' });
      proxy.restore();
      await expect(update).rejects.toThrow(OutcomeUnknownError);
      expect((await other.store.read(key))?.count).toBe(100);
    }
  });

  it('is still resolved when all that came after it were stores', async () => {
    const options = { bucket: 'foreign_base' };
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, options);
    await using other = await openTallies(server.url, options);
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open(options.bucket);
    await kv.put('k', '{"count":1,"by":[]}');
    expect((await at.store.update(key, 1)).count).toBe(2);
    proxy.dropRepliesAfter(0);
    const update = at.store.update(key, 10);
    await reads(other.store, 12, 'the write without a reply');
    await other.store.update(key, 100);
    await kv.put('other', '{"count":1,"by":[]}');
    proxy.restore();
    expect((await update).count).toBe(12);
    expect((await at.store.update(key, 1)).count).toBe(113);
  });
});

describe('an update whose reply is lost', () => {
  it('is found to be applied when the stream refuses its repetition', async () => {
    const options = { bucket: 'sealed' };
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, options);
    await using other = await openTallies(server.url, options);
    await using plain = await connectForTest(server);
    await at.store.update(key, 1);
    proxy.dropRepliesAfter(0);
    const update = at.store.update(key, 10);
    await reads(other.store, 11, 'the write without a reply');
    const { streams } = await jetstreamManager(plain);
    const { config } = await streams.info('KV_sealed');
    await streams.update('KV_sealed', Object.assign(config, { sealed: true }));
    proxy.restore();
    expect((await update).count).toBe(11);
  });
});

describe('a transaction whose reply is lost, and whose marks are lost after it', () => {
  beforeEach((context) => needsServer(context, server, '2.12', 'a transaction'));

  it.each<[what: string, once: TransactionOptions]>([
    ['is not repeated when stores have written since', {}],
    ['is not repeated with an idempotency key either', { idempotencyKey: 'x' }],
  ])('%s', async (what, once) => {
    const options = { bucket: `transaction_${what.replaceAll(' ', '_')}`, transactions: true };
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, options);
    await using other = await openTallies(server.url, options);
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open(options.bucket);
    await at.store.update(a, 1);
    await at.store.update(b, 1);
    let runs = 0;
    const move = ([one, two]: Tally[]): void => {
      one!.count -= 1;
      two!.count += 1;
      runs += 1;
      if (runs === 1) proxy.dropRepliesAfter(0);
    };
    const moved = at.store.transaction([a, b], move, once);
    await until(async () => (await counts(other.store, b))[0] === 2, { what: 'the write without a reply' });
    for (const { id } of [a, b]) {
      await kv.put(id, '{"count":50,"by":[]}');
      await other.store.update({ id }, 1);
    }
    proxy.restore();
    await expect(moved).rejects.toThrow(OutcomeUnknownError);
    expect(await counts(other.store, a, b)).toEqual([51, 51]);
  });
});

describe('an update with an idempotency key whose reply is lost, and whose mark and key are lost after it', () => {
  it('is not repeated but by its caller', async () => {
    const options = { bucket: 'replaced' };
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, options);
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open(options.bucket);
    await at.store.update(key, 1);
    proxy.dropRepliesAfter(0);
    const update = at.store.update(key, 10, { idempotencyKey: 'x' });
    await until(async () => (await kv.get('k'))?.string() !== '{"count":1,"by":[]}', { what: 'the write' });
    await kv.put('k', '{"count":50,"by":[]}');
    proxy.restore();
    await expect(update).rejects.toThrow(OutcomeUnknownError);
    expect((await at.store.read(key))?.count).toBe(50);
    expect((await at.store.update(key, 10, { idempotencyKey: 'x' })).count).toBe(60);
    expect((await at.store.update(key, 10, { idempotencyKey: 'x' })).count).toBe(60);
  });
});
