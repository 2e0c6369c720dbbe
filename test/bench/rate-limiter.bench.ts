/**
 * Decisions of a rate limiter per second, for one hot key and for many keys, beside rate-limiter-flexible on a Redis of its
 * own, in one run. Both in one process, every decision allowed: denials cost neither a write. 256 callers at a time, each of
 * which awaits a decision before it asks for the next, on both sides alike. Each server keeps what it is told in a file, and
 * syncs it later.
 *
 * `publish` is no limiter but what an exact one cannot be faster than: a bare compare-and-set of 40 bytes per call, which knows
 * the revision, with nothing to decide.
 *
 * node --import @swc-node/register/esm-register test/bench/rate-limiter.bench.ts [seconds per measurement] [rounds] [only names with this]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds. What is judged
 * misses its aim with exit code 1.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import { Coordination, FlowModule } from '../../lib/index.js';
import { FlowConnection } from '../../lib/connection/flow-connection.js';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { silentLog } from '../support/log.js';
import { judge } from './support/judge.js';
import { startRedis } from './support/redis-server.js';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 3);
const only = process.argv[4] ?? '';
const CALLERS = 256;
const KEYS = 10_000;
/** A look at the clock and a turn of the event loop cost several times what a leased decision does. */
const CALLS_PER_LOOK = 64;
const LIMIT = 1_000_000_000;
/** Times the decisions of Redis. None for exact ones of many keys: `publish` says how near to it they can come. */
const AIMS = { 'exact, hot key': 3, 'leased, hot key': 50, [`leased, ${KEYS} keys`]: 1 };

const server = await EmbeddedNatsServer.start();
@Module({ imports: [FlowModule.forRoot({ servers: server.url })] })
class BenchModule {}
const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
const coordination = app.get(Coordination);
const exact = coordination.rateLimiter('exact', { limit: LIMIT, window: '1h' });
const leased = coordination.rateLimiter('leased', { limit: LIMIT, window: '1h', precision: 'leased' });

const connection = await FlowConnection.connect({ servers: server.url }, silentLog);
const plain = await connect({ servers: server.url });
await new Kvm(plain).create('bare', { history: 1 });
const revisions = new Map<string, number>();
const state = Buffer.alloc(40, 1);

/** Writes a key by compare-and-set. Two writes of one key are never on their way: its turn comes again after all others. */
async function write(key: string): Promise<{ readonly allowed: boolean }> {
  const options = { expectLastSubjectSequence: revisions.get(key) ?? 0 };
  const { sequence } = await connection.publisher.publish(`$KV.bare.${key}`, state, options);
  revisions.set(key, sequence);
  return { allowed: true };
}

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
  [`publish, ${KEYS} keys`]: () => measure(write, many),
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
const besideOf = (name: string): string => `redis, ${name.endsWith('keys') ? `${KEYS} keys` : 'hot key'}`;
const rateOf = (name: string): number => median((results.get(name) ?? []).map(({ rate }) => rate));
console.log(`\n${CALLERS} callers, nats-server ${server.version}, Redis ${redis?.version ?? 'left out'}`);
for (const [name, measured] of results) {
  const times = redis === undefined ? '' : ` ${(rateOf(name) / rateOf(besideOf(name))).toFixed(2)} x Redis,`;
  const cpu = median(measured.map((one) => one.cpu)).toFixed(1);
  console.log(
    `${name.padEnd(20)} ${Math.round(rateOf(name)).toString().padStart(9)}/s${times} ${cpu} us of processor each`,
  );
}
if (redis !== undefined) {
  for (const [name, atLeast] of Object.entries(AIMS)) {
    if (!results.has(name)) continue;
    const figure = rateOf(name) / rateOf(besideOf(name));
    judge(`  ${name}: ${figure.toFixed(2)} x Redis`, figure, { atLeast });
  }
}
await redis?.[Symbol.asyncDispose]();
await plain.close();
await connection.close();
await app.close();
await server.stop();
