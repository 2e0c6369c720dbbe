/**
 * The memory of a process that updates many keys of an object store: bounded by the store's cache, not by the number of
 * keys. It misses its aim with exit code 1.
 *
 * node --import @swc-node/register/esm-register test/bench/object-store-memory.bench.ts [updates, ten of each key]
 */
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { openCounters, rate } from './support/counters.js';
import { heldMegabytes } from './support/held-memory.js';
import { judge } from './support/judge.js';

const updates = Number(process.argv[2] ?? 1_000_000);
const keys = updates / 10;
/** Megabytes, from two updates of each key on. */
const MOST_GROWTH = 32;

await using server = await EmbeddedNatsServer.start();
const { store, connection } = await openCounters(server.url);
const resident: number[] = [];
function report(done: number): void {
  const { rss, heap } = heldMegabytes();
  resident.push(rss);
  console.log(`${done.toLocaleString('en')} updates: RSS ${rss.toFixed(0)} MB, heap ${heap.toFixed(0)} MB`);
}
report(0);
const started = performance.now();
for (let done = 0; done < updates; done += keys) {
  // Each key once per turn: of the usual 100,000 the cache holds half, and the order is its worst case.
  await rate(keys, 256, (index) => store.update(`key${index}`, 1, { idempotencyKey: `run-${done + index}` }));
  report(done + keys);
}
const perSecond = (updates * 1000) / (performance.now() - started);
const { keys: found, lastRevision } = await store.status();
const { seconds } = (await store.read(`key${keys - 1}`)) ?? {};
console.log(`${Math.round(perSecond)} updates/s; ${found} keys, ${lastRevision} revisions`);
if (found !== keys || seconds !== 10n) throw new Error(`Counted ${seconds} in ${found} keys.`);

const growth = (resident.at(-1) ?? NaN) - (resident[2] ?? NaN);
const from = (2 * keys).toLocaleString('en');
judge(`RSS growth from ${from} to ${updates.toLocaleString('en')} updates: ${growth.toFixed(1)} MB`, growth, {
  atMost: MOST_GROWTH,
});
await store.close();
await connection.close();
