import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { REMOVED, UNCHANGED } from '../../../lib/store/engine/change.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('ObjectStore', () => {
  it('updates, reads, resets and deletes', async () => {
    await using at = await openTallies(server.url);
    const { store } = at;
    const key = { id: 'basic' };
    expect(await store.read(key)).toBeUndefined();
    expect(await store.update(key, 2)).toEqual({ count: 2, by: [] });
    expect(await store.update(key, 3)).toEqual({ count: 5, by: [] });
    expect(await store.read(key)).toEqual({ count: 5, by: [] });
    const entry = await store.readEntry(key);
    expect(entry?.key.text).toBe('basic');
    expect(entry?.revision).toBeGreaterThan(1);
    expect(await store.reset(key)).toEqual({ count: 0, by: [] });
    expect(await store.delete(key)).toBe(true);
    expect(await store.delete(key)).toBe(false);
    expect(await store.read(key)).toBeUndefined();
    expect(await store.update(key, 1)).toEqual({ count: 1, by: [] });
    expect(await store.purge(key)).toBe(true);
    expect(await store.read(key)).toBeUndefined();
  });

  it('purges what is behind an entry, also one that is deleted already or written anew in the same commit', async () => {
    await using at = await openTallies(server.url, { bucket: 'purged', history: 10 });
    const { store } = at;
    const kept = async (id: string) => (await store.history({ id })).map(({ type }) => type);
    const fill = async (id: string) => {
      for (let count = 0; count < 3; count++) await store.update({ id }, 1);
    };
    await fill('deleted');
    expect(await store.delete({ id: 'deleted' })).toBe(true);
    expect(await kept('deleted')).toEqual(['value', 'value', 'value', 'deleted']);
    expect(await store.purge({ id: 'deleted' })).toBe(false);
    expect(await kept('deleted')).toEqual(['deleted']);
    await fill('both');
    expect(await Promise.all([store.delete({ id: 'both' }), store.purge({ id: 'both' })])).toEqual([true, false]);
    expect(await kept('both')).toEqual(['deleted']);
    await fill('anew');
    const [, anew] = await Promise.all([store.purge({ id: 'anew' }), store.update({ id: 'anew' }, 5)]);
    expect(anew.count).toBe(5);
    expect(await kept('anew')).toEqual(['value']);
    // Of what was never there, nothing is written.
    const { lastRevision } = await store.status();
    expect(await store.purge({ id: 'never' })).toBe(false);
    expect((await store.status()).lastRevision).toBe(lastRevision);
  });

  it('modifies by a function, which may leave the entry or remove it', async () => {
    await using at = await openTallies(server.url);
    const { store } = at;
    const key = { id: 'modified' };
    const made = await store.modify(key, (draft, { exists }) => {
      draft.by.push(String(exists));
    });
    expect(made.by).toEqual(['false']);
    const revision = (await store.readEntry(key))?.revision;
    const kept = await store.modify(key, (draft) => {
      draft.count = 99;
      return UNCHANGED;
    });
    expect(kept).toEqual({ count: 0, by: ['false'] });
    expect((await store.readEntry(key))?.revision).toBe(revision);
    expect(await store.modify(key, () => ({ count: 7, by: [] }))).toEqual({ count: 7, by: [] });
    expect(await store.modify(key, () => REMOVED)).toBeUndefined();
    expect(await store.read(key)).toBeUndefined();
  });

  it('commits concurrent updates of one key together and gives each caller its own state', async () => {
    await using at = await openTallies(server.url);
    const { store } = at;
    const key = { id: 'together' };
    const results = await Promise.all(Array.from({ length: 300 }, () => store.update(key, 1)));
    expect(results.map(({ count }) => count)).toEqual(Array.from({ length: 300 }, (_, index) => index + 1));
    expect(new Set(results).size).toBe(300);
    const entry = await store.readEntry(key);
    expect(entry?.state.count).toBe(300);
    expect((await store.status()).lastRevision).toBeLessThan(100);
  });

  it('rejects only the caller whose reducer throws, without its partial change', async () => {
    await using at = await openTallies(server.url);
    const { store } = at;
    const key = { id: 'throwing' };
    const settled = await Promise.allSettled([5, -100, 1, -7, 2].map((input) => store.update(key, input)));
    expect(settled.map((one) => (one.status === 'fulfilled' ? one.value.count : String(one.reason)))).toEqual([
      5,
      'RangeError: would be -95',
      6,
      'RangeError: would be -1',
      8,
    ]);
    expect((await store.read(key))?.count).toBe(8);
  });

  it('does not let a reducer fail on what another process has changed since', async () => {
    await using one = await openTallies(server.url);
    await using other = await openTallies(server.url);
    const key = { id: 'stale' };
    await one.store.update(key, 1);
    await other.store.update(key, 10);
    // The first store still remembers 1, on which -5 would be refused.
    expect((await one.store.update(key, -5)).count).toBe(6);
  });
});
