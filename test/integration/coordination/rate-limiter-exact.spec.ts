import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { useFlowServer } from '../../support/flow-server.js';
import { needsOldServer, OLD_SERVER } from '../../support/old-server.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();
const script = fileURLToPath(new URL('./limiter-process.ts', import.meta.url));
const PROCESSES = 8;
const REQUESTS = 2_000;
const LIMIT = 100;
const MINUTE_MS = 60_000;

/** A process whose wall clock is wrong. */
class LimiterProcess {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>;
  private readonly lines: AsyncIterator<string>;

  constructor(skewMs: number) {
    const args = ['--import', '@swc-node/register/esm-register', script, String(skewMs)];
    this.child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** The answer to a line. */
  async tell(line: string): Promise<string> {
    this.child.stdin.write(`${line}\n`);
    return String((await this.lines.next()).value);
  }

  async stop(): Promise<void> {
    this.child.stdin.end();
    await new Promise((resolve) => this.child.once('exit', resolve));
  }
}

let processes: LimiterProcess[] = [];
beforeAll(() => {
  // All of their clocks are wrong, by minutes.
  processes = Array.from({ length: PROCESSES }, (_, index) => new LimiterProcess((index - 4) * 3 * MINUTE_MS));
});
afterAll(() => Promise.all(processes.map((one) => one.stop())));

/** How many of 2,000 requests each process had allowed, which all of them made at once. */
async function flood(url: string, options: RateLimiterOptions): Promise<number[]> {
  const task = JSON.stringify({ url, options, requests: REQUESTS / PROCESSES });
  for (const ready of await Promise.all(processes.map((one) => one.tell(task)))) expect(ready).toBe('ready');
  return Promise.all(processes.map(async (one) => Number(await one.tell('go'))));
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

  it('get exactly 100 through of two limits together', async () => {
    const limits = [
      { limit: 150, window: '12h' },
      { limit: LIMIT, window: '1d', algorithm: 'sliding-log' },
    ] as const;
    expect(sum(await flood(at.url, { name: 'union', limits }))).toBe(LIMIT);
  });

  it.each(['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const)(
    'get no more than 100 through, and most of them, with leases: %s',
    async (algorithm) => {
      const options = {
        name: `leased-${algorithm}`,
        limit: LIMIT,
        window: '12h',
        algorithm,
        precision: 'leased',
      } as const;
      const allowed = sum(await flood(at.url, options));
      expect(allowed).toBeLessThanOrEqual(LIMIT);
      expect(allowed).toBeGreaterThan(LIMIT / 2);
    },
  );

  it('get exactly 100 through on an old server', async (context) => {
    needsOldServer(context);
    await using server = await EmbeddedNatsServer.start({ version: OLD_SERVER });
    expect(sum(await flood(server.url, { name: 'old', limit: LIMIT, window: '12h' }))).toBe(LIMIT);
  });
});

describe('at all times', () => {
  it.each([
    ['exact', 'gcra'],
    ['leased', 'gcra'],
    ['leased', 'sliding-log'],
  ] as const)('no window holds more than the limit: %s, %s', async (precision, algorithm) => {
    const [limit, window] = [40, 400];
    const options = { name: `always-${precision}-${algorithm}`, limit, window, algorithm, precision } as const;
    await using one = await openLimiter(at.url, options);
    await using other = await openLimiter(at.url, options);
    const uses: number[] = [];
    const end = performance.now() + 5 * window;
    const work = async ({ limiter }: typeof one): Promise<void> => {
      while (performance.now() < end) {
        const { allowed } = await limiter.consume('key');
        if (allowed) uses.push(performance.now());
        // Someone else's turn, also when nothing has to be asked for.
        else await new Promise(setImmediate);
      }
    };
    await Promise.all([work(one), work(other)]);
    // Uses are seen here a round trip after they were decided.
    const slack = 20;
    for (const [index, from] of uses.entries()) {
      for (const to of uses.slice(index + limit)) {
        const used = uses.filter((use) => use >= from && use <= to).length;
        const most = algorithm === 'gcra' ? limit + ((to - from + slack) * limit) / window : limit;
        if (algorithm === 'gcra' || to - from < window - slack) expect(used).toBeLessThanOrEqual(most);
      }
    }
    // All the time something was used: the rate, less what leases hold back.
    expect(uses.length).toBeGreaterThan(limit * 4);
  });
});
