/**
 * Publishes through the library's publisher against `js.publish` of the client, in one run on one server.
 *
 * node --import @swc-node/register/esm-register test/bench/publisher.bench.ts [messages] [rounds]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Many short rounds of alternating order, so that
 * a noisy neighbour hits all alike.
 */
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect, headers, type MsgHdrs } from '@nats-io/transport-node';
import { FlowConnection } from '../../lib/connection/flow-connection.js';
import { EmbeddedNatsServer } from '../../lib/testing/embedded-nats-server.js';
import { silentLog } from '../support/log.js';

const messages = Number(process.argv[2] ?? 150_000);
const rounds = Number(process.argv[3] ?? 15);
const payload = new Uint8Array(128).fill(65);
const STREAM = 'BENCH';
const SUBJECT = 'bench.message';

type Publish = (withHeaders: boolean) => Promise<unknown>;

/** What a tracing publisher sends along. */
const fields = [
  ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['Flow-Run-Id', '01J9ZC0000000000000000000'],
  ['Flow-From', 'price'],
] as const;

function clientHeaders(): MsgHdrs {
  const made = headers();
  for (const [name, value] of fields) made.set(name, value);
  return made;
}

interface Sample {
  /** Messages per second. */
  readonly rate: number;
  /** Processor time of this process per message; other processes do not disturb it. */
  readonly cpuMicros: number;
}

/** Publishes `count` messages with `inFlight` of them under way at any time. */
async function measure(publish: Publish, count: number, inFlight: number, withHeaders: boolean): Promise<Sample> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await publish(withHeaders);
  };
  const cpu = process.cpuUsage();
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  const rate = (count / (performance.now() - started)) * 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { rate, cpuMicros: (user + system) / count };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

await using server = await EmbeddedNatsServer.start();
await using connection = await FlowConnection.connect({ servers: server.url, maxPublishesInFlight: 256 }, silentLog);
const traced = await connect({ servers: server.url });
const untraced = await connect({ servers: server.url, noAsyncTraces: true });
const manager = await jetstreamManager(untraced);
await manager.streams.add({ name: STREAM, subjects: ['bench.>'], storage: StorageType.File });

const clients: Readonly<Record<string, Publish>> = {
  'own publisher': (h) => connection.publisher.publish(SUBJECT, payload, h ? { headers: fields } : {}),
  'js.publish, default': (
    (js) => (h) =>
      js.publish(SUBJECT, payload, h ? { headers: clientHeaders() } : {})
  )(jetstream(traced)),
  'js.publish, noAsyncTraces': (
    (js) => (h) =>
      js.publish(SUBJECT, payload, h ? { headers: clientHeaders() } : {})
  )(jetstream(untraced)),
};

const cases = [
  { inFlight: 256, withHeaders: false },
  { inFlight: 256, withHeaders: true },
  { inFlight: 1, withHeaders: false },
  { inFlight: 1, withHeaders: true },
];

process.stdout.write(`nats-server ${server.version}, file storage, ${payload.length} B, medians of ${rounds} rounds\n`);
for (const { inFlight, withHeaders } of cases) {
  const count = Math.ceil(messages / (inFlight === 1 ? 10 : 1) / rounds);
  const samples = new Map<string, Sample[]>(Object.keys(clients).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    const order = Object.entries(clients);
    if (round % 2 !== 0) order.reverse();
    for (const [name, publish] of order) {
      const sample = await measure(publish, count, inFlight, withHeaders);
      // The first round warms up.
      if (round >= 0) samples.get(name)?.push(sample);
      await manager.streams.purge(STREAM);
    }
  }
  const own = samples.get('own publisher') ?? [];
  process.stdout.write(`\n${inFlight} in flight, ${withHeaders ? '3 headers' : 'no headers'}\n`);
  for (const [name, taken] of samples) {
    const rate = Math.round(median(taken.map((sample) => sample.rate))).toLocaleString('en');
    const cpu = median(taken.map((sample) => sample.cpuMicros)).toFixed(1);
    // Compared round by round: what disturbs one round disturbs all that run in it.
    const ratio = median(taken.map((sample, round) => (own[round]?.rate ?? NaN) / sample.rate)).toFixed(2);
    const compared = taken === own ? '' : `   own is ${ratio} x`;
    process.stdout.write(`  ${name.padEnd(28)}${rate.padStart(9)} /s  ${cpu.padStart(6)} us cpu${compared}\n`);
  }
}
await traced.close();
await untraced.close();
