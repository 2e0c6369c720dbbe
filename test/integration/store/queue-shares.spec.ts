import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { OverloadedError } from '../../../lib/common/errors.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('places in the queue of a store', () => {
  it('are not all taken by one key: another one is served beside it', async () => {
    await using at = await openTallies(server.url, { bucket: 'hot', maxQueued: 4_000 });
    const { store } = at;
    const hot = { id: 'hot' };
    // Asked for in one tick: none of them can have ended before the last is refused.
    const crowd = Promise.allSettled(Array.from({ length: 3_000 }, () => store.update(hot, 1)));
    const other = store.update({ id: 'other' }, 1);
    expect((await other).count).toBe(1);
    // Its write was not behind those of the crowd, which takes four.
    expect((await store.readEntry({ id: 'other' }))?.revision).toBeLessThanOrEqual(3);
    const outcomes = await crowd;
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Error] : []));
    expect(refused).toHaveLength(1_000);
    expect(refused[0]).toBeInstanceOf(OverloadedError);
    expect(refused[0]?.message).toMatch(/2000 operations of "hot" wait .* 2000 places .*maxQueued is 4000/);
    // Those that have ended make room again.
    expect((await store.update(hot, 1)).count).toBe(2_001);
    const next = await Promise.allSettled(Array.from({ length: 2_001 }, () => store.update(hot, 1)));
    expect(next.filter(({ status }) => status === 'fulfilled')).toHaveLength(2_000);
  });

  it('are shared by all keys that want them, and all can be taken', async () => {
    await using at = await openTallies(server.url, { bucket: 'many', maxQueued: 300 });
    const { store } = at;
    const waves = [1, 2, 3].map((id) =>
      Promise.allSettled(Array.from({ length: 300 }, () => store.update({ id: `k${id}` }, 1))),
    );
    const each = Promise.allSettled(Array.from({ length: 60 }, (_, id) => store.update({ id: `one${id}` }, 1)));
    const taken = (await Promise.all([...waves, each])).map(
      (outcomes) => outcomes.filter(({ status }) => status === 'fulfilled').length,
    );
    // Half of all, half of the rest, and so on; each new key gets its place while there is one.
    expect(taken).toEqual([150, 75, 38, 37]);
  });

  it('are given back by those who give up', async () => {
    await using at = await openTallies(server.url, { bucket: 'givers', maxQueued: 100 });
    const { store } = at;
    const key = { id: 'a' };
    const controller = new AbortController();
    const { signal } = controller;
    const given = Promise.allSettled(Array.from({ length: 50 }, () => store.update(key, 1, { signal })));
    await expect(store.update(key, 1)).rejects.toThrow(OverloadedError);
    controller.abort();
    const after = Array.from({ length: 50 }, () => store.update(key, 1));
    expect((await given).every(({ status }) => status === 'rejected')).toBe(true);
    expect((await Promise.all(after)).at(-1)?.count).toBe(50);
    await expect(store.update(key, 1, { signal })).rejects.toThrow(/cancelled/);
    await expect(store.update({ id: 'b' }, 1, { signal })).rejects.toThrow(/cancelled/);
    expect((await store.update({ id: 'b' }, 1)).count).toBe(1);
  });
});
