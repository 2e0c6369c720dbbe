/**
 * Publishes through the library's publisher against `js.publish` of the client, in one run on one server.
 *
 * node --import @swc-node/register/esm-register test/bench/publisher.bench.ts [messages] [rounds]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds,
 * whose order alternates so that a noisy neighbour hits all of them alike.
 */
import { jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect, headers, type MsgHdrs } from '@nats-io/transport-node';
import { FlowConnection } from '../../lib/connection/flow-connection.js';
import { EmbeddedNatsServer } from '../../lib/testing/embedded-nats-server.js';
import { silentLog } from '../support/log.js';

const messages = Number(process.argv[2] ?? 100_000);
const rounds = Number(process.argv[3] ?? 3);
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

/** Messages per second with `inFlight` publishes under way at any time. */
async function measure(publish: Publish, count: number, inFlight: number, withHeaders: boolean): Promise<number> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await publish(withHeaders);
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  return (count / (performance.now() - started)) * 1000;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

await using server = await EmbeddedNatsServer.start();
await using own = await FlowConnection.connect({ servers: server.url, maxPublishesInFlight: 256 }, silentLog);
const traced = await connect({ servers: server.url });
const untraced = await connect({ servers: server.url, noAsyncTraces: true });
const manager = await jetstreamManager(untraced);
await manager.streams.add({ name: STREAM, subjects: ['bench.>'], storage: StorageType.File });

const clients: Readonly<Record<string, Publish>> = {
  'own publisher': (h) => own.publisher.publish(SUBJECT, payload, h ? { headers: fields } : {}),
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

process.stdout.write(`nats-server ${server.version}, file storage, ${payload.length} B, median of ${rounds}\n`);
for (const { inFlight, withHeaders } of cases) {
  const count = inFlight === 1 ? Math.ceil(messages / 10) : messages;
  const rates = new Map<string, number[]>(Object.keys(clients).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    const order = Object.entries(clients);
    if (round % 2 !== 0) order.reverse();
    for (const [name, publish] of order) {
      const rate = await measure(publish, round < 0 ? Math.ceil(count / 10) : count, inFlight, withHeaders);
      if (round >= 0) rates.get(name)?.push(rate);
      await manager.streams.purge(STREAM);
    }
  }
  const ownRate = median(rates.get('own publisher') ?? []);
  process.stdout.write(`\n${inFlight} in flight, ${withHeaders ? '3 headers' : 'no headers'}\n`);
  for (const [name, values] of rates) {
    const rate = median(values);
    const ratio = name === 'own publisher' ? '' : `   own is ${(ownRate / rate).toFixed(2)} x`;
    process.stdout.write(`  ${name.padEnd(28)}${Math.round(rate).toLocaleString('en').padStart(9)} /s${ratio}\n`);
  }
}
await traced.close();
await untraced.close();
