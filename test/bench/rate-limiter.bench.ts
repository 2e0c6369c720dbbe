/**
 * Decisions of a rate limiter per second, for one hot key and for many keys, beside rate-limiter-flexible on a Redis of its
 * own, in one run. Both in one process, 256 callers at a time, every decision allowed: denials cost neither a write.
 *
 * node --import @swc-node/register/esm-register test/bench/rate-limiter.bench.ts [seconds per measurement] [rounds] [only names with this]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { Coordination, FlowModule } from '../../lib/index.js';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { startRedis } from './support/redis-server.js';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 3);
const only = process.argv[4] ?? '';
const CALLERS = 256;
const KEYS = 10_000;
/** A look at the clock and a turn of the event loop cost several times what a leased decision does. */
const CALLS_PER_LOOK = 64;
const LIMIT = 1_000_000_000;

const server = await EmbeddedNatsServer.start();
@Module({ imports: [FlowModule.forRoot({ servers: server.url })] })
class BenchModule {}
const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
const coordination = app.get(Coordination);
const exact = coordination.rateLimiter('exact', { limit: LIMIT, window: '1h' });
const leased = coordination.rateLimiter('leased', { limit: LIMIT, window: '1h', precision: 'leased' });

/** Decisions per second, and microseconds of this process's time per decision. */
interface Measured {
  readonly rate: number;
  readonly cpu: number;
}

type Decide = (key: string) => Promise<{ readonly allowed: boolean } | { readonly remainingPoints: number }>;

async function measure(decide: Decide, keyOf: (index: number) => string): Promise<Measured> {
  const used = process.cpuUsage();
  const started = performance.now();
  const end = started + seconds * 1000;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      for (let call = 0; call < CALLS_PER_LOOK; call += 1) {
        const decision = await decide(keyOf(done++));
        if ('allowed' in decision && !decision.allowed) throw new Error('denied below the limit');
      }
      // A decision that needs no round trip would keep the event loop, and no timer or reply would come through.
      await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const { user, system } = process.cpuUsage(used);
  return { rate: (done / (performance.now() - started)) * 1000, cpu: (user + system) / done };
}

const hot = (): string => 'hot';
const many = (index: number): string => `key-${index % KEYS}`;
const contenders: Record<string, () => Promise<Measured>> = {
  'exact, hot key': () => measure((key) => exact.consume(key), hot),
  'leased, hot key': () => measure((key) => leased.consume(key), hot),
  [`exact, ${KEYS} keys`]: () => measure((key) => exact.consume(key), many),
  [`leased, ${KEYS} keys`]: () => measure((key) => leased.consume(key), many),
};

const redis = await startRedis();
if (redis !== undefined) {
  const flexible = new RateLimiterRedis({ storeClient: redis.client, points: LIMIT, duration: 3_600 });
  contenders['redis, hot key'] = () => measure((key) => flexible.consume(key), hot);
  contenders[`redis, ${KEYS} keys`] = () => measure((key) => flexible.consume(key), many);
}

const chosen = Object.entries(contenders).filter(([name]) => name.includes(only));
const results = new Map<string, Measured[]>(chosen.map(([name]) => [name, []]));
for (let round = 0; round <= rounds; round += 1) {
  for (const [name, run] of chosen) {
    const measured = await run();
    // The first round warms up.
    if (round > 0) results.get(name)?.push(measured);
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const rateOf = (name: string): number => median((results.get(name) ?? []).map(({ rate }) => rate));
console.log(`\n${CALLERS} callers, nats-server ${server.version}, Redis ${redis?.version ?? 'left out'}`);
for (const [name, measured] of results) {
  const beside = `redis, ${name.endsWith('keys') ? `${KEYS} keys` : 'hot key'}`;
  const times = redis === undefined ? '' : ` ${(rateOf(name) / rateOf(beside)).toFixed(2)} x Redis,`;
  const cpu = median(measured.map((one) => one.cpu)).toFixed(1);
  console.log(
    `${name.padEnd(20)} ${Math.round(rateOf(name)).toString().padStart(9)}/s${times} ${cpu} us of processor each`,
  );
}
await redis?.[Symbol.asyncDispose]();
await app.close();
await server.stop();
