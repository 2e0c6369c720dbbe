import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import {
  CancelledError,
  ConfigurationError,
  ConflictError,
  DecodeError,
  OverloadedError,
  UnsupportedByServerError,
} from '../../../lib/common/errors.js';
import { REMOVED, UNCHANGED } from '../../../lib/store/engine/change.js';
import { needsServer } from '../../support/needs-server.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { openTallies } from './store-fixture.js';
import { a, b, c, counts, move } from './transaction-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('a transaction', () => {
  beforeEach((context) => needsServer(context, server, '2.12', 'a transaction'));

  it('changes, makes, keeps and removes several entries in one write', async () => {
    await using at = await openTallies(server.url, { bucket: 'basic', transactions: true, history: 5 });
    const { store } = at;
    await store.update(a, 5);
    await store.update(c, 9);
    const after = await store.transaction([a, b], ([one, other], { exist }) => {
      expect(exist).toEqual([true, false]);
      one!.count -= 2;
      other!.count += 2;
    });
    expect(after.map((state) => state?.count)).toEqual([3, 2]);
    expect(await counts(store, a, b)).toEqual([3, 2]);
    expect(await store.transaction([a, b, c], () => [{ count: 7, by: [] }, REMOVED, UNCHANGED])).toEqual([
      { count: 7, by: [] },
      undefined,
      { count: 9, by: [] },
    ]);
    expect(await counts(store, a, b, c)).toEqual([7, undefined, 9]);
    const revisions = await Promise.all([a, c].map((key) => store.readEntry(key)));
    expect(revisions[1]!.revision - revisions[0]!.revision).toBe(2);
    // What was written is remembered: the next update is right at once.
    expect((await store.update(a, 1, { maxAttempts: 1 })).count).toBe(8);
  });

  it('writes nothing when it changes nothing or throws', async () => {
    await using at = await openTallies(server.url, { bucket: 'nothing', transactions: true });
    const { store } = at;
    await store.update(a, 5);
    const { lastRevision } = await store.status();
    expect(await store.transaction([a, b], () => [UNCHANGED, UNCHANGED])).toEqual([{ count: 5, by: [] }, undefined]);
    await expect(
      store.transaction([a, b], ([one]) => {
        one!.count = 99;
        throw new RangeError('no');
      }),
    ).rejects.toThrow('no');
    await expect(store.transaction([a, b], (() => Promise.resolve()) as never)).rejects.toThrow(/must be synchronous/);
    expect((await store.status()).lastRevision).toBe(lastRevision);
    expect(await counts(store, a, b)).toEqual([5, undefined]);
  });

  it('begins with what it remembers, and decides nothing by it', async () => {
    const bucket = { bucket: 'beliefs', transactions: true };
    await using at = await openTallies(server.url, bucket);
    await using other = await openTallies(server.url, bucket);
    const { store } = at;
    await move(store, a, b, -5);
    await other.store.update(a, 95);
    const seen: (number | undefined)[][] = [];
    const look = (drafts: { count: number }[]) => void seen.push(drafts.map(({ count }) => count));
    await store.transaction([a, b], look, { maxAttempts: 1 });
    expect(seen).toEqual([
      [5, -5],
      [100, -5],
    ]);
    await other.store.update(b, 6);
    const kept = await store.transaction([a, b], () => [UNCHANGED, UNCHANGED]);
    expect(kept.map((state) => state?.count)).toEqual([100, 1]);
    await other.store.update(b, 1);
    const refuse = ([, two]: { count: number }[]): never => {
      throw new RangeError(`was ${two!.count}`);
    };
    await expect(store.transaction([a, b], refuse)).rejects.toThrow('was 2');
  });

  it('is applied once per idempotency key, also by another process', async () => {
    await using at = await openTallies(server.url, { bucket: 'once', transactions: true });
    await using other = await openTallies(server.url, { bucket: 'once', transactions: true });
    const add = ({ store }: typeof at) =>
      store.transaction(
        [a, b],
        (drafts) => {
          for (const draft of drafts) draft.count += 1;
        },
        { idempotencyKey: 'x' },
      );
    await add(at);
    expect((await add(other)).map((state) => state?.count)).toEqual([1, 1]);
    expect(await counts(at.store, a, b)).toEqual([1, 1]);
  });

  it('keeps sums right among transactions and updates of many stores', { timeout: 60_000 }, async () => {
    const bucket = { bucket: 'sums', transactions: true };
    const stores = await Promise.all([1, 2, 3].map(() => openTallies(server.url, bucket)));
    const keys = [a, b, c];
    for (const key of keys) await stores[0]!.store.update(key, 1_000);
    let torn = 0;
    await Promise.all(
      stores.map(async ({ store }, worker) => {
        for (let index = 0; index < 40; index++) {
          await move(store, keys[(index + worker) % 3]!, keys[(index + worker + 1) % 3]!, index);
          await store.update(keys[index % 3]!, 1);
          const all = await store.transaction(keys, () => [UNCHANGED, UNCHANGED, UNCHANGED]);
          // Every look is at one moment: between 3,000 and all that was added.
          const sum = all.reduce((total, state) => total + (state?.count ?? 0), 0);
          if (sum < 3_000 + index || sum > 3_120) torn += 1;
        }
      }),
    );
    expect(torn).toBe(0);
    const [x = 0, y = 0, z = 0] = await counts(stores[0]!.store, a, b, c);
    expect(x + y + z).toBe(3_120);
    for (const at of stores) await at[Symbol.asyncDispose]();
  });

  it('shares keys with updates of the same store, more of them than a server takes at a time', async () => {
    const bucket = { bucket: 'shared', transactions: true, maxQueued: 300 };
    await using at = await openTallies(server.url, bucket);
    const ids = Array.from({ length: 240 }, (_, index) => ({ id: `k${index}` }));
    const work = ids.flatMap((key, index) => [
      at.store.transaction([key, ids[(index + 1) % ids.length]!], ([one, two]) => {
        one!.count += 1;
        two!.count += 1;
      }),
      at.store.update(key, 10),
    ]);
    await Promise.all(work);
    expect(await counts(at.store, ...ids)).toEqual(ids.map(() => 12));
  });

  it('takes as many keys as the server takes, and not one more', async () => {
    await using at = await openTallies(server.url, { bucket: 'many', transactions: true, maxQueued: 1 });
    const ids = Array.from({ length: 1_001 }, (_, index) => ({ id: `k${index}` }));
    const add = (drafts: { count: number }[]): void => {
      for (const draft of drafts) draft.count += 1;
    };
    await expect(at.store.transaction(ids, add)).rejects.toThrow('it has 1001 keys; a transaction has 1 to 1000');
    const most = at.store.transaction(ids.slice(1), add);
    await expect(at.store.transaction([a], add)).rejects.toThrow(OverloadedError);
    expect((await most).every((state) => state?.count === 1)).toBe(true);
    expect((await at.store.status()).keys).toBe(1_000);
  });

  it('leaves all as it is when one entry does not decode', async () => {
    await using at = await openTallies(server.url, { bucket: 'damaged', transactions: true });
    await at.store.update(a, 1);
    await at.connection.publisher.publish('$KV.damaged.b', new TextEncoder().encode('{"count":'));
    await expect(move(at.store, a, b, 1)).rejects.toThrow(DecodeError);
    await expect(move(at.store, a, b, 1)).rejects.toThrow(/Bucket "damaged", key "b", revision 2/);
    expect(await counts(at.store, a)).toEqual([1]);
  });

  it('leaves what it keeps at the schema version that it has', async () => {
    const bucket = { bucket: 'versions', transactions: true };
    await using old = await openTallies(server.url, bucket);
    await old.store.update(a, 1);
    await old.store.update(b, 1);
    const migrate = (state: unknown): void => void ((state as { count: number }).count += 1_000);
    await using at = await openTallies(server.url, { ...bucket, schemaVersion: 1, migrate });
    const after = await at.store.transaction([a, b], () => [UNCHANGED, { count: 7, by: [] }]);
    expect(after.map((state) => state?.count)).toEqual([1_001, 7]);
    expect(await counts(at.store, a, b)).toEqual([1_001, 7]);
    expect((await at.store.update(a, 1)).count).toBe(1_002);
    expect(await counts(at.store, a)).toEqual([1_002]);
  });

  it('leaves what an older process changes at the higher version', async () => {
    const bucket = { bucket: 'rollout', transactions: true };
    const migrate = (state: unknown): void => void ((state as { count: number }).count += 1_000);
    await using old = await openTallies(server.url, bucket);
    await using at = await openTallies(server.url, { ...bucket, schemaVersion: 1, migrate });
    await at.store.update(a, 1);
    await move(old.store, a, b, 1);
    expect(await counts(at.store, a, b)).toEqual([0, 1_001]);
  });

  it('gives up when told to, and says what is wrong', async () => {
    await using at = await openTallies(server.url, { bucket: 'limits', transactions: true });
    await using other = await openTallies(server.url, { bucket: 'limits' });
    const { store } = at;
    await expect(store.transaction([], () => undefined)).rejects.toThrow(ConfigurationError);
    await expect(store.transaction([a, b, a], () => undefined)).rejects.toThrow(/the key "a" twice/);
    await expect(move(other.store, a, b, 1)).rejects.toThrow(/needs transactions: true/);
    await expect(store.transaction([a, b], () => undefined, { signal: AbortSignal.abort() })).rejects.toThrow(
      CancelledError,
    );
    await store.update(a, 1);
    // All of them have read before the first has written.
    const rivals = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        store.transaction(
          [a, c],
          ([one]) => {
            one!.count += 1;
          },
          { maxAttempts: 1 },
        ),
      ),
    );
    expect(rivals.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const rival of rivals) if (rival.status === 'rejected') expect(rival.reason).toBeInstanceOf(ConflictError);
    expect(await counts(store, a)).toEqual([2]);
    await expect(
      store.transaction([a, b], ([one]) => {
        one!.by.push('x'.repeat(2_000_000));
      }),
    ).rejects.toThrow(/the server takes/);
    expect(await counts(store, b)).toEqual([undefined]);
    await expect(openTallies(server.url, { bucket: 'both', transactions: true, entryTtl: true })).rejects.toThrow(
      /do not go together/,
    );
  });
});

it('a server without atomic batches says so at boot', async (context) => {
  needsOldServer(context);
  await using old = await EmbeddedNatsServer.start({ version: OLD_SERVER });
  await expect(openTallies(old.url, { transactions: true })).rejects.toThrow(UnsupportedByServerError);
});
