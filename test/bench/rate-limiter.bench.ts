/**
 * Decisions of a rate limiter per second, for one hot key and for many keys, beside rate-limiter-flexible on a Redis of its
 * own, in one run. Each contender in a process of its own, as an application has one limiter library, and what another one
 * left in the heap and in compiled code is not measured with it; all on the same servers, one at a time, round by round. Every
 * decision allowed: denials cost neither a write. 256 callers at a time, each of which awaits a decision before it asks for the
 * next, on both sides alike. Each server keeps what it is told in a file, and syncs it later.
 *
 * `publish` is no limiter but what an exact one that keeps each key by itself cannot be faster than: a bare compare-and-set of 40
 * bytes per call, which knows the revision, with nothing to decide.
 *
 * node --import @swc-node/register/esm-register test/bench/rate-limiter.bench.ts [seconds per measurement] [rounds] [only names with this]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds. What is judged
 * misses its aim with exit code 1.
 */
import 'reflect-metadata';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { ContenderProcess, type Measured } from './support/contender-process.js';
import { judge } from './support/judge.js';
import { CALLERS, KEYS, limiterContenders, redisBeside } from './support/limiter-contenders.js';
import { median } from './support/median.js';
import { startRedis } from './support/redis-server.js';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 3);
const only = process.argv[4] ?? '';
const SCRIPT = new URL('./support/limiter-contender.ts', import.meta.url);
/** After it the code is compiled, and every key is there. */
const LEAST_WARM_UP_SECONDS = 3;
/** Times the decisions of Redis. None for exact ones of many keys by themselves: `publish` says how near to it they can come. */
const AIMS = {
  'exact, hot key': 3,
  'leased, hot key': 50,
  [`exact, ${KEYS} keys, 8 shards`]: 1,
  [`leased, ${KEYS} keys`]: 1,
};

await using server = await EmbeddedNatsServer.start();
await using redis = await startRedis();

async function measureAll(
  contenders: readonly (readonly [string, ContenderProcess])[],
): Promise<Map<string, Measured[]>> {
  await Promise.all(contenders.map(([, contender]) => contender.ready()));
  for (const [, contender] of contenders) await contender.measure(Math.max(seconds, LEAST_WARM_UP_SECONDS));
  const results = new Map<string, Measured[]>(contenders.map(([name]) => [name, []]));
  for (let round = 0; round < rounds; round += 1)
    for (const [name, contender] of contenders) results.get(name)?.push(await contender.measure(seconds));
  return results;
}

const chosen = Object.keys(limiterContenders).filter(
  (name) => name.includes(only) && (redis !== undefined || !name.startsWith('redis')),
);
const contenders = chosen.map(
  (name) => [name, new ContenderProcess(name, SCRIPT, [server.url, String(redis?.port)])] as const,
);
let results: Map<string, Measured[]>;
try {
  results = await measureAll(contenders);
} finally {
  await Promise.all(contenders.map(([, contender]) => contender.stop()));
}

const rateOf = (name: string): number => median((results.get(name) ?? []).map(({ rate }) => rate));
console.log(`\n${CALLERS} callers, nats-server ${server.version}, Redis ${redis?.version ?? 'left out'}`);
for (const [name, measured] of results) {
  const times = redis === undefined ? '' : ` ${(rateOf(name) / rateOf(redisBeside(name))).toFixed(2)} x Redis,`;
  const cpu = median(measured.map((one) => one.cpu)).toFixed(1);
  console.log(
    `${name.padEnd(27)} ${Math.round(rateOf(name)).toString().padStart(9)}/s${times} ${cpu} us of processor each`,
  );
}
if (redis !== undefined) {
  for (const [name, atLeast] of Object.entries(AIMS)) {
    if (!results.has(name)) continue;
    const figure = rateOf(name) / rateOf(redisBeside(name));
    judge(`  ${name}: ${figure.toFixed(2)} x Redis`, figure, { atLeast });
  }
}
