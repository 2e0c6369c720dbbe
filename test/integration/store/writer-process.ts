/**
 * A process of its own that counts up one key. Arguments: url, key, updates, concurrency, processes, attempts. All begin
 * when the last is there. Prints the count after each update; fails when one has lost more attempts against the others.
 */
import { openTallies } from './store-fixture.js';

const [url = '', id = '', updates = '0', concurrency = '1', processes = '1', attempts = '1'] = process.argv.slice(2);
const results: number[] = [];

await using at = await openTallies(url, { maxAttempts: Number(attempts) });
const ready = { id: `${id}-ready` };
await at.store.update(ready, 1, { maxAttempts: 1_000 });
for await (const event of at.store.watch(ready))
  if (event.type === 'value' && event.state.count === Number(processes)) break;
let left = Number(updates);
await Promise.all(
  Array.from({ length: Number(concurrency) }, async () => {
    while (left > 0) {
      left -= 1;
      results.push((await at.store.update({ id }, 1)).count);
    }
  }),
);
process.stdout.write(`${JSON.stringify(results)}\n`);
