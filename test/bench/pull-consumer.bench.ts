/**
 * How fast PullConsumer takes and acknowledges messages, against the client's own `consume()` with a
 * callback on the same stream, in the same run. Run:
 *
 *   node --import @swc-node/register/esm-register test/bench/pull-consumer.bench.ts [messages] [rounds] [in flight]
 */
import { AckPolicy, jetstream, StorageType } from '@nats-io/jetstream';
import { FlowConnection } from '../../lib/connection/flow-connection.js';
import { PullConsumer } from '../../lib/stream/pull-consumer.js';
import { EmbeddedNatsServer } from '../../lib/testing/embedded-nats-server.js';
import { silentLog } from '../support/log.js';

const MESSAGES = Number(process.argv[2] ?? 200_000);
const ROUNDS = Number(process.argv[3] ?? 3);
const IN_FLIGHT = Number(process.argv[4] ?? 1_000);

await using server = await EmbeddedNatsServer.start();
await using connection = await FlowConnection.connect({ servers: server.url }, silentLog);
const { manager, nats } = connection;
await manager.streams.add({ name: 'B', subjects: ['b.>'], storage: StorageType.File });
const body = new Uint8Array(128).fill(120);
for (let start = 0; start < MESSAGES; start += 1_000) {
  const batch = Array.from({ length: Math.min(1_000, MESSAGES - start) }, (_, i) =>
    connection.publisher.publish(`b.${start + i}`, body),
  );
  await Promise.all(batch);
}

/** `Promise.withResolvers` is not in Node 20. */
function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

let consumers = 0;
async function freshConsumer(): Promise<string> {
  const name = `c${++consumers}`;
  await manager.consumers.add('B', { durable_name: name, ack_policy: AckPolicy.Explicit, max_ack_pending: 20_000 });
  return name;
}

interface Round {
  readonly perSecond: number;
  /** Processor time of this process per message; steadier than the rate on a machine that does other work. */
  readonly cpuMicros: number;
}

/** Measures `run`, which resolves when it has taken all messages. */
async function measure(run: (consumer: string) => Promise<void>): Promise<Round> {
  const consumer = await freshConsumer();
  globalThis.gc?.();
  const [started, cpu] = [performance.now(), process.cpuUsage()];
  await run(consumer);
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  await manager.consumers.delete('B', consumer);
  return { perSecond: Math.round(MESSAGES / seconds), cpuMicros: (user + system) / MESSAGES };
}

async function byClient(name: string): Promise<void> {
  const consumer = await jetstream(nats).consumers.get('B', name);
  const { promise, resolve } = deferred();
  let left = MESSAGES;
  const messages = await consumer.consume({
    max_messages: IN_FLIGHT,
    callback: (message) => {
      message.ack();
      if (--left === 0) resolve();
    },
  });
  await promise;
  await nats.flush();
  await messages.close();
}

async function byPullConsumer(name: string, later: boolean): Promise<void> {
  const { promise, resolve, reject } = deferred();
  let left = MESSAGES;
  const consumer = new PullConsumer(connection, {
    stream: 'B',
    consumer: name,
    maxInFlight: IN_FLIGHT,
    onError: reject,
    onMessage: (delivery) => {
      const done = (): void => {
        delivery.ack();
        consumer.release();
        if (--left === 0) resolve();
      };
      if (later) queueMicrotask(done);
      else done();
    },
  });
  await consumer.start();
  await promise;
  await nats.flush();
  await consumer.stop();
}

const results = { client: [] as Round[], ours: [] as Round[], later: [] as Round[] };
for (let round = 0; round < ROUNDS; round++) {
  results.client.push(await measure(byClient));
  results.ours.push(await measure((name) => byPullConsumer(name, false)));
  results.later.push(await measure((name) => byPullConsumer(name, true)));
}
const best = (rounds: Round[]): number => Math.max(...rounds.map((round) => round.perSecond));
const cpu = (rounds: Round[]): number => Math.min(...rounds.map((round) => round.cpuMicros));
const line = (what: string, rounds: Round[]): string =>
  `${what.padEnd(38)} ${rounds.map((round) => round.perSecond).join(' ')} msg/s, ${cpu(rounds).toFixed(2)} us of CPU each`;
console.log(
  `nats-server ${server.version}, ${MESSAGES} messages of ${body.length} B, ${IN_FLIGHT} in flight, acknowledged`,
);
console.log(line('client consume(), callback', results.client));
console.log(line('PullConsumer, settled in the callback', results.ours));
console.log(line('PullConsumer, settled in a microtask', results.later));
console.log(`ratio of the best rounds: ${(best(results.ours) / best(results.client)).toFixed(2)}`);
console.log(`ratio of CPU per message: ${(cpu(results.ours) / cpu(results.client)).toFixed(2)}`);
