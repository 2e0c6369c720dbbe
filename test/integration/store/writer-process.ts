/** A process of its own that counts up one key. Arguments: url, key, updates, concurrency. Prints what it measured. */
import { openTallies } from './store-fixture.js';

const [url = '', id = '', updates = '0', concurrency = '1'] = process.argv.slice(2);
const latencies: number[] = [];
const own: number[] = [];

await using at = await openTallies(url);
let left = Number(updates);
const started = performance.now();
await Promise.all(
  Array.from({ length: Number(concurrency) }, async () => {
    while (left > 0) {
      left -= 1;
      const from = performance.now();
      own.push((await at.store.update({ id }, 1)).count);
      latencies.push(performance.now() - from);
    }
  }),
);
latencies.sort((a, b) => a - b);
process.stdout.write(
  `${JSON.stringify({
    results: own,
    median: latencies[latencies.length >> 1],
    max: latencies.at(-1),
    ms: performance.now() - started,
  })}\n`,
);
