/**
 * Acquiring and releasing a mutex: alone, and with 16 callers at one key in one process and over 4 connections; beside
 * redlock on a Redis of its own, with its own retry delay and with one of 5 ms, in one run.
 *
 * node --import @swc-node/register/esm-register test/bench/mutex.bench.ts [seconds per measurement] [rounds]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds. The server
 * of ours keeps leases in a file, Redis its writes in an append-only file. With several callers the rate is no measure of
 * its own: redlock has no line, and whoever gives a lock back takes it again while the others pause. "Fewest turns" tells it.
 */
import 'reflect-metadata';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import Redlock from 'redlock';
import { Coordination, FlowModule, type Mutex } from '../../lib/index.js';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { startRedis } from './support/redis-server.js';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 3);
const CALLERS = 16;
const CONNECTIONS = 4;
const TTL = 15_000;

/** Takes the lock of a key, does nothing, and gives it back. */
type Lock = (key: string) => Promise<void>;

interface Measured {
  /** Sections per second. */
  readonly rate: number;
  /** Milliseconds from asking to having given back. */
  readonly median: number;
  readonly p99: number;
  readonly max: number;
  /** Sections of the caller that had the fewest, of 100 of the one that had the most. */
  readonly fewest: number;
}

async function measure(locks: readonly Lock[], keyOf: (index: number) => string): Promise<Measured> {
  const started = performance.now();
  const end = started + seconds * 1000;
  const latencies: number[] = [];
  const turns = locks.map(() => 0);
  let done = 0;
  await Promise.all(
    locks.map(async (lock, caller) => {
      while (performance.now() < end) {
        const from = performance.now();
        await lock(keyOf(done++));
        latencies.push(performance.now() - from);
        turns[caller] = (turns[caller] ?? 0) + 1;
      }
    }),
  );
  const took = performance.now() - started;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor((latencies.length - 1) * share)] ?? NaN;
  const fewest = (100 * Math.min(...turns)) / Math.max(...turns);
  return { rate: (latencies.length / took) * 1000, median: at(0.5), p99: at(0.99), max: at(1), fewest };
}

const server = await EmbeddedNatsServer.start();
@Module({ imports: [FlowModule.forRoot({ servers: server.url })] })
class BenchModule {}
const start = (): Promise<INestApplicationContext> =>
  NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
const apps = await Promise.all(Array.from({ length: CONNECTIONS }, start));
const mutexes = apps.map((app) => app.get(Coordination).mutex('bench'));
await Promise.all(mutexes.map((mutex) => mutex.ready()));
const ours = (mutex: Mutex | undefined): Lock => {
  if (mutex === undefined) throw new Error('no mutex');
  return (key) => mutex.runExclusive(key, () => undefined);
};

const alone = (): string => 'alone';
const hot = (): string => 'hot';
const fresh = (index: number): string => `fresh-${index}`;
const one = ours(mutexes[0]);
const contenders: Record<string, () => Promise<Measured>> = {
  'alone, one key': () => measure([one], alone),
  'alone, new keys': () => measure([one], fresh),
  '16 callers, 1 process': () => measure(Array<Lock>(CALLERS).fill(one), hot),
  '16 callers, 4 connections': () =>
    measure(
      Array.from({ length: CALLERS }, (_, caller) => ours(mutexes[caller % CONNECTIONS])),
      hot,
    ),
};

const redis = await startRedis();
if (redis !== undefined) {
  const redlock = (retryDelay: number): Lock => {
    const locks = new Redlock([redis.client], { retryCount: -1, retryDelay, retryJitter: retryDelay / 2 });
    return async (key) => {
      const lock = await locks.acquire([key], TTL);
      await lock.release();
    };
  };
  const patient = redlock(200);
  const eager = redlock(5);
  contenders['redlock alone, one key'] = () => measure([patient], alone);
  contenders['redlock alone, new keys'] = () => measure([patient], fresh);
  contenders['redlock 16 callers'] = () => measure(Array<Lock>(CALLERS).fill(patient), hot);
  contenders['redlock 16 callers, retry 5 ms'] = () => measure(Array<Lock>(CALLERS).fill(eager), hot);
}

const results = new Map<string, Measured[]>(Object.keys(contenders).map((name) => [name, []]));
for (let round = 0; round <= rounds; round += 1) {
  for (const [name, run] of Object.entries(contenders)) {
    const measured = await run();
    // The first round warms up.
    if (round > 0) results.get(name)?.push(measured);
  }
}
await Promise.all(apps.map((app) => app.close()));
await server.stop();
await redis?.[Symbol.asyncDispose]();

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const figures = new Map(
  Array.from(results, ([name, all]) => [
    name,
    {
      rate: median(all.map(({ rate }) => rate)),
      median: median(all.map((measured) => measured.median)),
      p99: median(all.map(({ p99 }) => p99)),
      max: median(all.map(({ max }) => max)),
      fewest: median(all.map(({ fewest }) => fewest)),
    },
  ]),
);
for (const [name, { rate, median: middle, p99, max, fewest }] of figures) {
  const latency = `median ${middle.toFixed(2).padStart(7)} ms  p99 ${p99.toFixed(2).padStart(7)} ms  max ${max.toFixed(0).padStart(5)} ms`;
  console.log(
    `${name.padEnd(32)} ${rate.toFixed(0).padStart(6)}/s  ${latency}  fewest turns ${fewest.toFixed(0)} of 100`,
  );
}
const compare = (what: string, our: string, their: string): void => {
  const [left, right] = [figures.get(our), figures.get(their)];
  if (left === undefined || right === undefined) return;
  console.log(
    `${what}: ${(left.rate / right.rate).toFixed(2)} × redlock's rate, ${(left.median / right.median).toFixed(2)} × its median latency, ` +
      `${(left.max / right.max).toFixed(2)} × its longest`,
  );
};
compare('alone, one key', 'alone, one key', 'redlock alone, one key');
compare('alone, new keys', 'alone, new keys', 'redlock alone, new keys');
compare('16 callers, its defaults', '16 callers, 4 connections', 'redlock 16 callers');
compare('16 callers, retry 5 ms', '16 callers, 4 connections', 'redlock 16 callers, retry 5 ms');
compare('16 callers of one process, retry 5 ms', '16 callers, 1 process', 'redlock 16 callers, retry 5 ms');
