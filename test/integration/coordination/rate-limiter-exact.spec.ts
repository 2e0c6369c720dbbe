import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { AskedProcess } from '../../support/asked-process.js';
import { useFlowServer } from '../../support/flow-server.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();
const script = new URL('./limiter-process.ts', import.meta.url);
const PROCESSES = 8;
const REQUESTS = 2_000;
const LIMIT = 100;
const MINUTE_MS = 60_000;

let processes: AskedProcess[] = [];
beforeAll(() => {
  // All of their clocks are wrong, by minutes.
  processes = Array.from({ length: PROCESSES }, (_, index) => {
    return new AskedProcess(script, [String((index - 4) * 3 * MINUTE_MS)]);
  });
});
afterAll(() => Promise.all(processes.map((one) => one[Symbol.asyncDispose]())));

/** How many of 2,000 requests each process had allowed, which all of them made at once. */
async function flood(url: string, options: RateLimiterOptions, keys = 1): Promise<number[]> {
  const task = JSON.stringify({ url, options, requests: REQUESTS / PROCESSES, keys });
  for (const ready of await Promise.all(processes.map((one) => one.ask(task)))) expect(ready).toBe('ready');
  return Promise.all(processes.map(async (one) => Number(await one.ask('go'))));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

describe('8 processes with 2,000 requests at once against a limit of 100', { timeout: 120_000 }, () => {
  it.each(['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const)(
    'get exactly 100 through, though their clocks are minutes apart: %s',
    async (algorithm) => {
      const options = { name: `exact-${algorithm}`, limit: LIMIT, window: '12h', algorithm } as const;
      expect(sum(await flood(at.url, options))).toBe(LIMIT);
    },
  );

  it.each(['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const)(
    'get exactly 100 through of a limiter with shards: %s',
    async (algorithm) => {
      const options = { name: `shards-${algorithm}`, limit: LIMIT, window: '12h', algorithm, shards: 4 } as const;
      expect(sum(await flood(at.url, options))).toBe(LIMIT);
    },
  );

  it('get exactly the limit through of each of 50 keys in 2 shards', async () => {
    const options = { name: 'shards-keys', limit: 10, window: '12h', shards: 2 } as const;
    expect(sum(await flood(at.url, options, 50))).toBe(50 * 10);
    await using one = await openLimiter(at.url, options);
    for (let key = 0; key < 50; key++) expect((await one.limiter.peek(`key-${key}`)).remaining).toBe(0);
  });

  it('get exactly 100 through of two limits together', async () => {
    const limits = [
      { limit: 150, window: '12h' },
      { limit: LIMIT, window: '1d', algorithm: 'sliding-log' },
    ] as const;
    expect(sum(await flood(at.url, { name: 'union', limits }))).toBe(LIMIT);
  });

  it.each(['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const)(
    'get no more than the limit through with leases, and what they leave of it is bounded: %s',
    async (algorithm) => {
      const [limit, size, holdMs] = [1_000, 10, MINUTE_MS];
      const options = {
        name: `leased-${algorithm}`,
        limit,
        window: '12h',
        algorithm,
        precision: 'leased',
        lease: { size, hold: holdMs },
      } as const;
      const allowed = sum(await flood(at.url, options));
      expect(allowed).toBeLessThanOrEqual(limit);
      // What comes back while units are held is missing from a burst.
      const heldBack = algorithm === 'gcra' ? Math.ceil((limit * holdMs) / (720 * MINUTE_MS)) : 0;
      expect(allowed).toBeGreaterThanOrEqual(limit - heldBack - PROCESSES * 1.5 * size);
    },
  );

  it.for([{}, { shards: 2 }])('get exactly 100 through on an old server: %o', async (layout, context) => {
    needsOldServer(context);
    await using server = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    expect(sum(await flood(server.url, { name: 'old', limit: LIMIT, window: '12h', ...layout }))).toBe(LIMIT);
  });
});

/** One unit that was used, between these times of the performance clock. */
interface Use {
  readonly from: number;
  readonly to: number;
}

describe('at all times', () => {
  it.each([
    ['exact', 'gcra', {}],
    ['exact', 'gcra', { shards: 2 }],
    ['leased', 'gcra', {}],
    ['leased', 'sliding-log', {}],
    ['leased', 'sliding-log', { shards: 2 }],
  ] as const)('no window holds more than the limit: %s, %s, %o', async (precision, algorithm, layout) => {
    const [limit, window] = [80, 800];
    const name = `always-${precision}-${algorithm}`;
    const options = { name, limit, window, algorithm, precision, timeout: '20s', ...layout } as const;
    await using one = await openLimiter(at.url, options);
    await using other = await openLimiter(at.url, options);
    const uses: Use[] = [];
    const attempts: number[] = [];
    const end = performance.now() + 5 * window;
    const work = async ({ limiter }: typeof one): Promise<void> => {
      while (performance.now() < end) {
        const from = performance.now();
        attempts.push(from);
        const { allowed } = await limiter.consume('key');
        if (allowed) uses.push({ from, to: performance.now() });
        // Someone else's turn, also when nothing has to be asked for.
        else await new Promise(setImmediate);
      }
    };
    // As many as it takes for the limit to be what holds them back, also when round trips are slow.
    await Promise.all([one, other].flatMap((limiter) => Array.from({ length: 8 }, () => work(limiter))));
    // What two processes' views of the server's clock may differ by, and fractions of milliseconds.
    const slack = one.clock.errorMs + other.clock.errorMs + 2;
    uses.sort((a, b) => a.from - b.from);
    for (const [index, { from }] of uses.entries()) {
      // Those that certainly were in a span of time: each was at some time between the question and the answer.
      const ends = uses.slice(index).map(({ to }) => to);
      const tooMany = ends
        .sort((a, b) => a - b)
        .filter((to, before) => {
          const span = to - from + slack;
          if (algorithm === 'gcra') return before + 1 > limit + (span * limit) / window;
          return span < window && before + 1 > limit;
        });
      expect(tooMany).toEqual([]);
    }
    // All the time something was used: the rate, less what leases hold back. When nobody asked, nobody got anything.
    expect(uses.length).toBeGreaterThan((limit * 0.8 * timeOf(attempts)) / window);
  });
});

/** Milliseconds in which there was an attempt again and again, without the times in which this machine was elsewhere. */
function timeOf(attempts: readonly number[]): number {
  const sorted = attempts.toSorted((a, b) => a - b);
  const pauses = sorted.slice(1).map((time, index) => time - (sorted[index] ?? time));
  return sum(pauses.filter((pause) => pause < 20));
}
