/**
 * A process that asks limiters many times at once. Argument: skew of its wall clock in milliseconds. Each line it is sent is a task
 * as JSON; it says "ready" when the limiter is open, starts at the next line, and prints how many requests were allowed.
 */
import { createInterface } from 'node:readline';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { openLimiter } from './limiter-fixture.js';
import { skewClock } from './skew-clock.js';

skewClock(Number(process.argv[2]));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
for (;;) {
  const line = await lines.next();
  if (line.done === true) break;
  const task = JSON.parse(line.value) as { url: string; options: RateLimiterOptions; requests: number; keys: number };
  await using at = await openLimiter(task.url, task.options);
  process.stdout.write('ready\n');
  await lines.next();
  const decisions = await Promise.all(
    Array.from({ length: task.requests }, (_, index) => at.limiter.consume(`key-${index % task.keys}`)),
  );
  process.stdout.write(`${decisions.filter(({ allowed }) => allowed).length}\n`);
}
