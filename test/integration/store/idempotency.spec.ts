import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConfigurationError, DecodeError } from '../../../lib/common/errors.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('an idempotency key', () => {
  it('applies an update once, in the same commit and in later ones', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'once' };
    const same = { idempotencyKey: 'order-1' };
    const together = await Promise.all([at.store.update(key, 1, same), at.store.update(key, 1, same)]);
    expect(together.map(({ count }) => count)).toEqual([1, 1]);
    await at.store.update(key, 10);
    expect((await at.store.update(key, 1, same)).count).toBe(11);
    expect((await at.store.update(key, 1, { idempotencyKey: 'order-2' })).count).toBe(12);
  });

  it('is known to other processes and after a restart of ours', async () => {
    const key = { id: 'elsewhere' };
    {
      await using first = await openTallies(server.url);
      await first.store.update(key, 1, { idempotencyKey: 'a' });
    }
    await using second = await openTallies(server.url);
    expect((await second.store.update(key, 1, { idempotencyKey: 'a' })).count).toBe(1);
    await using third = await openTallies(server.url);
    await third.store.update(key, 5);
    // The second store remembers an older revision; what it returns is the present state all the same.
    expect((await second.store.update(key, 1, { idempotencyKey: 'a' })).count).toBe(6);
  });

  it('is not used up by an update that throws', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'thrown' };
    const once = { idempotencyKey: 'x' };
    await expect(at.store.update(key, -1, once)).rejects.toThrow(RangeError);
    await at.store.update(key, 3);
    expect((await at.store.update(key, -1, once)).count).toBe(2);
    expect((await at.store.update(key, -1, once)).count).toBe(2);
  });

  it('outlives a deletion of the entry', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'deleted' };
    await at.store.update(key, 1, { idempotencyKey: 'x' });
    await at.store.delete(key);
    await at.store.update(key, 1, { idempotencyKey: 'x' });
    expect(await at.store.read(key)).toBeUndefined();
    await at.store.purge(key);
    await at.store.update(key, 2, { idempotencyKey: 'y' });
    expect(await at.store.read(key)).toEqual({ count: 2, by: [] });
  });

  it('gives the present state for a repeated reset too', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'reset' };
    const once = { idempotencyKey: 'x' };
    expect((await at.store.reset(key, once)).count).toBe(0);
    await at.store.update(key, 7);
    expect((await at.store.reset(key, once)).count).toBe(7);
    await at.store.delete(key);
    expect((await at.store.reset(key, once)).count).toBe(0);
    expect(await at.store.read(key)).toBeUndefined();
  });

  it('is forgotten when more than the configured number came after it', async () => {
    await using at = await openTallies(server.url, { remember: { count: 3 } });
    const key = { id: 'bounded' };
    for (const idempotencyKey of ['a', 'b', 'c', 'd']) await at.store.update(key, 1, { idempotencyKey });
    expect((await at.store.update(key, 1, { idempotencyKey: 'b' })).count).toBe(4);
    expect((await at.store.update(key, 1, { idempotencyKey: 'a' })).count).toBe(5);
  });

  it('is forgotten after its time, also when nothing was written since', async () => {
    await using at = await openTallies(server.url, { remember: { age: '1s' } });
    const key = { id: 'quiet' };
    const same = { idempotencyKey: 'a' };
    expect((await at.store.update(key, 1, same)).count).toBe(1);
    expect((await at.store.update(key, 1, same)).count).toBe(1);
    await until(async () => (await at.store.update(key, 1, same)).count === 2, { what: 'the key to be forgotten' });
    expect((await at.store.update(key, 1, same)).count).toBe(2);
  });

  it('is refused when it is empty, which would name every operation', async (context) => {
    await using at = await openTallies(server.url);
    const key = { id: 'nameless' };
    for (const refused of [
      at.store.update(key, 1, { idempotencyKey: '' }),
      at.store.delete(key, { idempotencyKey: '' }),
    ]) {
      await expect(refused).rejects.toThrow(ConfigurationError);
      await expect(refused).rejects.toThrow('idempotencyKey');
    }
    expect((await at.store.update(key, 1)).count).toBe(1);
    needsServer(context, server, '2.12', 'a transaction');
    await using together = await openTallies(server.url, { bucket: 'together', transactions: true });
    const transaction = together.store.transaction([key], () => undefined, { idempotencyKey: '' });
    await expect(transaction).rejects.toThrow(ConfigurationError);
  });

  it('says how to mend an entry of which what is remembered is damaged', async () => {
    await using at = await openTallies(server.url, { bucket: 'damaged' });
    await using plain = await connectForTest(server);
    const damaged = headers();
    damaged.set('Flow-Applied', 'AAAA');
    await jetstream(plain).publish('$KV.damaged.k', '{"count":5,"by":[]}', { headers: damaged });
    const update = at.store.update({ id: 'k' }, 1);
    await expect(update).rejects.toThrow(DecodeError);
    await expect(update).rejects.toThrow(/"damaged", key "k", revision 1.*put it again/);
    await (await new Kvm(plain).open('damaged')).put('k', '{"count":5,"by":[]}');
    expect((await at.store.update({ id: 'k' }, 1)).count).toBe(6);
  });

  it('fits a thousand beside a value', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'many' };
    const keys = Array.from({ length: 1_500 }, (_, index) => `run-${index}`);
    await Promise.all(keys.map((idempotencyKey) => at.store.update(key, 1, { idempotencyKey })));
    await Promise.all(keys.slice(-1_024).map((idempotencyKey) => at.store.update(key, 1, { idempotencyKey })));
    expect((await at.store.read(key))?.count).toBe(1_500);
    const message = await at.connection.manager.streams.getMessage('KV_tallies', { last_by_subj: '$KV.tallies.many' });
    expect(message?.header.get('Flow-Applied').length).toBeLessThan(11_000);
  });
});
