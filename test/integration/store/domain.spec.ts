import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { needsServer } from '../../support/needs-server.js';
import { collect, openTallies } from './store-fixture.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flow-domain-'));
  await writeFile(join(directory, 'hub.conf'), 'jetstream { domain: hub }\n');
});
afterAll(() => rm(directory, { recursive: true }));

/** A server whose JetStream is the domain "hub". */
function startHub(): Promise<EmbeddedNatsServer> {
  return EmbeddedNatsServer.start({ args: ['-c', join(directory, 'hub.conf')] });
}

const [a, b] = [{ id: 'a' }, { id: 'b' }];

it('a store in another JetStream domain writes, reads, lists and watches there', async () => {
  await using server = await startHub();
  await using at = await openTallies(server.url, {}, { domain: 'hub' });
  await using beside = await openTallies(server.url);
  const { store } = at;
  expect((await store.update(a, 1)).count).toBe(1);
  expect((await store.update(a, 1, { idempotencyKey: 'x' })).count).toBe(2);
  expect((await store.update(a, 1, { idempotencyKey: 'x' })).count).toBe(2);
  await store.update(b, 7);
  expect(await store.delete(b)).toBe(true);
  expect([(await store.read(a))?.count, (await store.read(a, { consistency: 'any' }))?.count]).toEqual([2, 2]);
  expect((await collect(store.keys())).map(({ text }) => text)).toEqual(['a']);
  expect((await collect(store.entries())).map(({ state }) => state.count)).toEqual([2]);
  expect(await store.history(a)).toHaveLength(1);
  const events: string[] = [];
  for await (const event of store.watch()) {
    events.push(event.type === 'value' ? `${event.key.text}=${event.state.count}` : event.type);
    if (event.type === 'caught-up') await store.update(a, 5);
    if (events.length === 4) break;
  }
  expect(events).toEqual(['a=2', 'deleted', 'caught-up', 'a=7']);
  // The same server, without the detour: the same entries.
  expect((await beside.store.read(a))?.count).toBe(7);
});

it('a transaction works in another JetStream domain', async (context) => {
  await using server = await startHub();
  needsServer(context, server, '2.12', 'a transaction');
  await using at = await openTallies(server.url, { transactions: true }, { domain: 'hub' });
  const [one, two] = await at.store.transaction([a, b], (drafts) => {
    for (const draft of drafts) draft.count += 1;
  });
  expect([one?.count, two?.count]).toEqual([1, 1]);
  expect((await at.store.update(a, 1, { maxAttempts: 1 })).count).toBe(2);
});
