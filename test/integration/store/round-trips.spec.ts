import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import type { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

/** Messages that the client sends while `work` runs: each request is one. */
async function sent({ nats }: FlowConnection, work: () => Promise<unknown>): Promise<number> {
  const before = nats.stats().outMsgs;
  await work();
  return nats.stats().outMsgs - before;
}

const keys = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({ id: `${prefix}${index}` }));

describe('an update that nobody contends', () => {
  it('is one message: 100 of one key, after the first', async () => {
    await using at = await openTallies(server.url, { bucket: 'one' });
    const key = { id: 'a' };
    await at.store.update(key, 1);
    const messages = await sent(at.connection, async () => {
      for (let count = 0; count < 100; count++) await at.store.update(key, 1, { idempotencyKey: `run-${count}` });
    });
    expect(messages).toBe(100);
    expect((await at.store.read(key))?.count).toBe(101);
  });

  it('is one message for each of 100 new keys, while keys are being made', async () => {
    await using at = await openTallies(server.url, { bucket: 'new' });
    // What the store sees first, it looks for.
    for (const key of keys('first', 32)) await at.store.update(key, 1);
    const messages = await sent(at.connection, async () => {
      for (const key of keys('next', 100)) await at.store.update(key, 1);
    });
    expect(messages).toBe(100);
    expect((await at.store.status()).keys).toBe(132);
  });

  it('is one message for 100 callers at a time', async () => {
    await using at = await openTallies(server.url, { bucket: 'shared' });
    const key = { id: 'a' };
    await at.store.update(key, 1);
    const messages = await sent(at.connection, () =>
      Promise.all(Array.from({ length: 100 }, () => at.store.update(key, 1))),
    );
    expect(messages).toBe(1);
  });
});

describe('what a store remembers', () => {
  it('is bounded by the number of entries, the least recently used goes: that one costs a read', async () => {
    await using at = await openTallies(server.url, { bucket: 'entries', cache: { entries: 10 } });
    const { store, connection } = at;
    const [first, second, ...others] = keys('k', 10);
    for (const key of [first!, second!, ...others]) await store.update(key, 1);
    const update = (key: { id: string }) => sent(connection, () => store.update(key, 1));
    expect(await update(first!)).toBe(1);
    // One too many: the second is now the one that was used longest ago.
    await store.update({ id: 'more' }, 1);
    expect(await update(first!)).toBe(1);
    for (const key of others) expect(await update(key)).toBe(1);
    expect(await update(second!)).toBe(2);
    expect(await update(second!)).toBe(1);
    expect((await store.read(second!))?.count).toBe(3);
  });

  it('is bounded by bytes, their values and idempotency keys included', async () => {
    await using at = await openTallies(server.url, { bucket: 'bytes', cache: { bytes: 100_000 } });
    const { store, connection } = at;
    const write = async (id: string, bytes: number): Promise<number> =>
      sent(connection, () => store.modify({ id }, (draft) => void (draft.by = ['x'.repeat(bytes)])));
    const large = keys('large', 4);
    for (const { id } of large) await write(id, 30_000);
    // Three of them fit: not the first.
    const [first, ...others] = large;
    for (const { id } of others) expect(await write(id, 30_000)).toBe(1);
    expect(await write(first!.id, 30_000)).toBe(2);
    // An entry that is larger than all of it is not remembered.
    await write('huge', 150_000);
    expect(await write('huge', 150_000)).toBe(2);
    // Keys alone fill it: 8 bytes each, 1,000 an entry.
    const remembering = keys('keys', 20);
    for (const key of remembering)
      await Promise.all(
        Array.from({ length: 1_000 }, (_, index) => store.update(key, 1, { idempotencyKey: `run-${index}` })),
      );
    expect(await write(remembering.at(-1)!.id, 1)).toBe(1);
    expect(await write(remembering[0]!.id, 1)).toBe(2);
  });
});
