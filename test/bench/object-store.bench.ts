/**
 * How fast the object store is beside what one writes by hand on the NATS client, in one run on one server with
 * file storage. Run: `node --import @swc-node/register/esm-register test/bench/object-store.bench.ts`.
 *
 * With the argument `memory`: 1,000,000 updates over 100,000 keys instead, and the memory of this process meanwhile. Give
 * Node `--expose-gc`, to see what is held and not what has not been collected yet.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt';
import { jetstream } from '@nats-io/jetstream';
import { Kvm, type KV } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { FlowConnection } from '../../lib/connection/flow-connection.js';
import { createObjectStore } from '../../lib/store/engine/create-object-store.js';
import type { KvReducer } from '../../lib/store/engine/kv-reducer.js';
import type { ObjectStore } from '../../lib/store/engine/object-store.js';
import { silentLog } from '../support/log.js';

/** A counter in a Protobuf message. */
class Counters implements KvReducer<Duration, number, string> {
  key = (name: string): string => name;
  empty = (): Duration => create(DurationSchema);
  apply(state: Duration, input: number): void {
    state.seconds += BigInt(input);
  }
}

async function open(url: string): Promise<{ store: ObjectStore<Counters>; connection: FlowConnection }> {
  const connection = await FlowConnection.connect({ servers: url }, silentLog);
  const store = await createObjectStore(
    connection,
    new Counters(),
    { bucket: 'bench', schema: DurationSchema },
    { mode: 'auto', log: silentLog },
  );
  return { store, connection };
}

/** Work items per second of `count` items done by `workers` loops. */
async function rate(count: number, workers: number, work: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (next < count) await work(next++);
    }),
  );
  return (count * 1000) / (performance.now() - started);
}

/** One line: our rate, and for each of the others its rate and the ratio. */
function say(what: string, ours: number, others: Record<string, readonly [rate: number, ratio: number]>): void {
  const round = (perSecond: number): string => Math.round(perSecond).toLocaleString('en');
  const compared = Object.entries(others).map(
    ([name, [other, ratio]]) => `${name} ${round(other)}/s = ${ratio.toFixed(2)}`,
  );
  process.stdout.write(`${what}: ${round(ours)}/s; against ${compared.join(', ')}\n`);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;
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
  say(what, median(own), Object.fromEntries(results));
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
    const { store, connection } = await open(url);
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
  await using server = await EmbeddedNatsServer.start();
  process.stdout.write(`nats-server ${server.version}, node ${process.version}\n`);
  const { store, connection } = await open(server.url);
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
  await rate(5_000, 1, () => store.update('one', 1));
  await rate(5_000, 1, compareAndSet);
  await rate(5_000, 1, publish);
  await rate(5_000, 1, barePublish);
  const update = (key: string): Promise<unknown> => store.update(key, 1);
  await compare('one key, one at a time', { count: 1_000, workers: 1, rounds: 15 }, () => update('one'), {
    'bare js.publish with expected sequence': barePublish,
    'kv.update': compareAndSet,
    'bare compare-and-set on our publisher': publish,
  });

  const together = await rate(100_000, 256, () => update('hot'));
  await rate(100_000, 1_024, () => update('hot'));
  const before = process.cpuUsage();
  const crowd = await rate(400_000, 1_024, () => update('hot'));
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(
    `one key, 1,024 at a time: ${Math.round(crowd).toLocaleString('en')}/s; ${((user + system) / 400_000).toFixed(2)} us of CPU each\n`,
  );
  const alone = await rate(500, 256, () => naive(kv, 'hot'));
  say('one key, 256 at a time', together, { 'read-modify-write loop': [alone, together / alone] });

  const spread = { count: 10_000, workers: 256, rounds: 9 };
  let [ours, theirs] = [0, 0];
  await compare('10,000 new keys per round, 256 at a time', spread, () => update(`new${ours++}`), {
    'kv.put': () => kv.put(`new${theirs++}`, value),
  });
  await rate(10_000, 256, (index) => update(`k${index}`));
  await compare('10,000 keys again, 256 at a time', spread, (index) => update(`k${index}`), {
    'kv.put': (index) => kv.put(`k${index}`, value),
  });

  const contended = await processes(server.url, 'store', 20_000);
  const naiveContended = await processes(server.url, 'naive', 50);
  say('one key, 4 processes, 64 at a time each', contended.perSecond, {
    'read-modify-write loop': [naiveContended.perSecond, contended.perSecond / naiveContended.perSecond],
  });
  for (const { median, max } of contended.reports) {
    process.stdout.write(
      `  latency: median ${median.toFixed(1)} ms, max ${max.toFixed(0)} ms, ratio ${(max / median).toFixed(1)}\n`,
    );
  }
  const count = (await store.read('processes'))?.seconds;
  if (count !== 80_000n) throw new Error(`Counted ${count} of 80000 updates.`);
  await store.close();
  await connection.close();
  await plain.close();
}

/** What the process holds is bounded by the cache, not by the number of keys. */
async function memory(): Promise<void> {
  const [updates, keys] = [1_000_000, 100_000];
  await using server = await EmbeddedNatsServer.start();
  const { store, connection } = await open(server.url);
  const report = (what: string): void => {
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    process.stdout.write(`${what}: RSS ${(rss / 1e6).toFixed(0)} MB, heap ${(heapUsed / 1e6).toFixed(0)} MB\n`);
  };
  report('at the start');
  const started = performance.now();
  for (let done = 0; done < updates; done += updates / 10) {
    // Each key once per 100,000 updates: the cache holds half of them, and the order is its worst case.
    await rate(updates / 10, 256, (index) => store.update(`key${index % keys}`, 1));
    report(`${(done + updates / 10).toLocaleString('en')} updates`);
  }
  const perSecond = (updates * 1000) / (performance.now() - started);
  const { keys: found, lastRevision } = await store.status();
  const { seconds } = (await store.read(`key${keys - 1}`)) ?? {};
  process.stdout.write(
    `${Math.round(perSecond).toLocaleString('en')} updates/s; ${found} keys, ${lastRevision} revisions\n`,
  );
  if (found !== keys || seconds !== BigInt(updates / keys)) throw new Error(`Counted ${seconds} in ${found} keys.`);
  await store.close();
  await connection.close();
}

const modes: Record<string, () => Promise<void>> = { child, memory };
await (modes[process.argv[2] ?? ''] ?? main)();
