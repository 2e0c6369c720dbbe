/**
 * How fast the object store is beside what one writes by hand on the NATS client, in one run on one server with
 * file storage. What is judged misses its aim with exit code 1.
 *
 * node --import @swc-node/register/esm-register test/bench/object-store.bench.ts [share of the usual work, such as 0.1]
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import { jetstream } from '@nats-io/jetstream';
import { Kvm, type KV } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { openCounters, rate } from './support/counters.js';
import { judge } from './support/judge.js';
import { median } from './support/median.js';

/** Least ratios to those of the others that are judged, by their names. */
type Aims = Readonly<Record<string, number>>;

/** One line: our rate, and for each of the others its rate and the ratio. Then a line for each aim. */
function say(
  what: string,
  ours: number,
  others: Record<string, readonly [rate: number, ratio: number]>,
  aims: Aims,
): void {
  const round = (perSecond: number): string => Math.round(perSecond).toLocaleString('en');
  const compared = Object.entries(others).map(
    ([name, [other, ratio]]) => `${name} ${round(other)}/s = ${ratio.toFixed(2)}`,
  );
  console.log(`${what}: ${round(ours)}/s; against ${compared.join(', ')}`);
  for (const [name, atLeast] of Object.entries(aims)) {
    const ratio = others[name]?.[1] ?? NaN;
    judge(`  ${ratio.toFixed(2)} x ${name}`, ratio, { atLeast });
  }
}

/**
 * Short rounds in turns, and the median of the ratios of neighbouring rounds: the machine is not equally fast at
 * all times, but it is about as fast from one round to the next.
 */
async function compare(
  what: string,
  { count, workers, rounds }: { count: number; workers: number; rounds: number },
  ours: (index: number) => Promise<unknown>,
  others: Record<string, (index: number) => Promise<unknown>>,
  aims: Aims,
): Promise<void> {
  const own: number[] = [];
  const rates = new Map(Object.keys(others).map((name) => [name, { rates: [] as number[], ratios: [] as number[] }]));
  for (let round = 0; round < rounds; round++) {
    const mine = await rate(count, workers, ours);
    own.push(mine);
    for (const [name, work] of Object.entries(others)) {
      const other = await rate(count, workers, work);
      rates.get(name)?.rates.push(other);
      rates.get(name)?.ratios.push(mine / other);
    }
  }
  const results = [...rates].map(
    ([name, measured]) => [name, [median(measured.rates), median(measured.ratios)]] as const,
  );
  say(what, median(own), Object.fromEntries(results), aims);
}

/** The loop one writes by hand: get, change, update, again on a conflict. */
async function naive(kv: KV, key: string): Promise<void> {
  for (;;) {
    const entry = await kv.get(key);
    const count = entry === null ? 0 : Number(entry.string());
    try {
      if (entry === null) await kv.create(key, String(count + 1));
      else await kv.update(key, String(count + 1), entry.revision);
      return;
    } catch (error) {
      if ((error as { code?: number }).code !== 10071) throw error;
    }
  }
}

/** Runs the same file as another process, for the contention between processes. */
async function child(): Promise<void> {
  const [, , , url = '', mode = '', count = '0'] = process.argv;
  const latencies: number[] = [];
  let work: () => Promise<unknown>;
  let close: () => Promise<void>;
  if (mode === 'store') {
    const { store, connection } = await openCounters(url);
    work = () => store.update('processes', 1);
    close = () => store.close().then(() => connection.close());
  } else {
    const plain = await connect({ servers: url, noAsyncTraces: true });
    const kv = await new Kvm(plain).create('naive');
    work = () => naive(kv, 'processes');
    close = () => plain.close();
  }
  const started = Date.now();
  await rate(Number(count), 64, async () => {
    const from = performance.now();
    await work();
    latencies.push(performance.now() - from);
  });
  const ended = Date.now();
  latencies.sort((a, b) => a - b);
  process.stdout.write(
    JSON.stringify({ started, ended, median: latencies[latencies.length >> 1], max: latencies.at(-1) }),
  );
  await close();
}

interface ChildReport {
  started: number;
  ended: number;
  median: number;
  max: number;
}

async function processes(
  url: string,
  mode: string,
  count: number,
): Promise<{ perSecond: number; reports: ChildReport[] }> {
  const file = fileURLToPath(import.meta.url);
  const runs = await Promise.all(
    Array.from({ length: 4 }, () =>
      promisify(execFile)(process.execPath, [
        '--import',
        '@swc-node/register/esm-register',
        file,
        'child',
        url,
        mode,
        String(count),
      ]),
    ),
  );
  const reports = runs.map(({ stdout }) => JSON.parse(stdout) as ChildReport);
  const ms = Math.max(...reports.map(({ ended }) => ended)) - Math.min(...reports.map(({ started }) => started));
  return { perSecond: (4 * count * 1000) / ms, reports };
}

async function main(): Promise<void> {
  const share = Number(process.argv[2] ?? 1);
  const some = (count: number): number => Math.ceil(share * count);
  await using server = await EmbeddedNatsServer.start();
  process.stdout.write(`nats-server ${server.version}, node ${process.version}\n`);
  const { store, connection } = await openCounters(server.url);
  const plain = await connect({ servers: server.url, noAsyncTraces: true });
  const kv = await new Kvm(plain).create('naive');

  const value = toBinary(DurationSchema, create(DurationSchema, { seconds: 1n }));
  let last = await kv.put('bare', value);
  const compareAndSet = async (): Promise<void> => void (last = await kv.update('bare', value, last));
  const publish = async (): Promise<void> => {
    ({ sequence: published } = await connection.publisher.publish('$KV.naive.published', value, {
      expectLastSubjectSequence: published,
    }));
  };
  let published = 0;
  const js = jetstream(plain);
  let bare = 0;
  const barePublish = async (): Promise<void> => {
    ({ seq: bare } = await js.publish('$KV.naive.published-bare', value, { expect: { lastSubjectSequence: bare } }));
  };
  await rate(some(5_000), 1, () => store.update('one', 1));
  await rate(some(5_000), 1, compareAndSet);
  await rate(some(5_000), 1, publish);
  await rate(some(5_000), 1, barePublish);
  const update = (key: string): Promise<unknown> => store.update(key, 1);
  await compare(
    'one key, one at a time',
    { count: some(1_000), workers: 1, rounds: 15 },
    () => update('one'),
    {
      'bare js.publish with expected sequence': barePublish,
      'kv.update': compareAndSet,
      'bare compare-and-set on our publisher': publish,
    },
    { 'bare js.publish with expected sequence': 0.9 },
  );

  const together = await rate(some(100_000), 256, () => update('hot'));
  await rate(some(100_000), 1_024, () => update('hot'));
  const before = process.cpuUsage();
  const crowded = some(400_000);
  const crowd = await rate(crowded, 1_024, () => update('hot'));
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(
    `one key, 1,024 at a time: ${Math.round(crowd).toLocaleString('en')}/s; ${((user + system) / crowded).toFixed(2)} us of CPU each\n`,
  );
  const alone = await rate(some(500), 256, () => naive(kv, 'hot'));
  say(
    'one key, 256 at a time',
    together,
    { 'read-modify-write loop': [alone, together / alone] },
    { 'read-modify-write loop': 50 },
  );

  const keys = some(10_000);
  const spread = { count: keys, workers: 256, rounds: 9 };
  let [ours, theirs] = [0, 0];
  await compare(
    `${keys} new keys per round, 256 at a time`,
    spread,
    () => update(`new${ours++}`),
    {
      'kv.put': () => kv.put(`new${theirs++}`, value),
    },
    { 'kv.put': 1 },
  );
  await rate(keys, 256, (index) => update(`k${index}`));
  await compare(
    `${keys} keys again, 256 at a time`,
    spread,
    (index) => update(`k${index}`),
    {
      'kv.put': (index) => kv.put(`k${index}`, value),
    },
    { 'kv.put': 1 },
  );

  const each = some(20_000);
  const contended = await processes(server.url, 'store', each);
  const naiveContended = await processes(server.url, 'naive', some(50));
  say(
    'one key, 4 processes, 64 at a time each',
    contended.perSecond,
    {
      'read-modify-write loop': [naiveContended.perSecond, contended.perSecond / naiveContended.perSecond],
    },
    { 'read-modify-write loop': 10 },
  );
  for (const { median, max } of contended.reports) {
    process.stdout.write(
      `  latency: median ${median.toFixed(1)} ms, max ${max.toFixed(0)} ms, ratio ${(max / median).toFixed(1)}\n`,
    );
  }
  const count = (await store.read('processes'))?.seconds;
  const wrong = Math.abs(Number(count) - 4 * each);
  judge(`  ${count} of ${4 * each} updates counted, ${wrong} wrong`, wrong, { atMost: 0 });
  await store.close();
  await connection.close();
  await plain.close();
}

await (process.argv[2] === 'child' ? child() : main());
