/**
 * One pipeline step (consume, handle, publish on, acknowledge) through a flow against the same work written by
 * hand on the NATS client, in one run on one server; then with run records and with a recording tracer.
 *
 * node --import @swc-node/register/esm-register test/bench/pipeline.bench.ts [messages] [rounds] [only: part of a name]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { jetstream, jetstreamManager, type JetStreamManager, type JsMsg } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { core, NodeSDK } from '@opentelemetry/sdk-node';
import { SimpleSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { Flow, flow, FlowClient, FlowConnection, FlowModule, FlowStep, json } from '../../lib/index.js';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { until } from '../support/until.js';

const messages = Number(process.argv[2] ?? 50_000);
const rounds = Number(process.argv[3] ?? 3);
const IN_FLIGHT = 256;

interface Item {
  id: number;
  text: string;
}
const text = 'x'.repeat(100);
const handle = (item: Item): Item => ({ id: item.id + 1, text: item.text });

const Untracked = flow('untracked', { input: json<Item>('Item'), output: json<Item>('Item'), track: 'none' });
const Tracked = flow('tracked', { input: json<Item>('Item'), output: json<Item>('Item'), track: 'run' });
const Detailed = flow('detailed', { input: json<Item>('Item'), output: json<Item>('Item'), track: 'step' });

@Flow(Untracked)
class UntrackedFlow {
  @FlowStep({ subject: 'in.untracked', concurrency: IN_FLIGHT })
  work(item: Item): Item {
    return handle(item);
  }
  @FlowStep({ after: 'work' })
  sink(item: Item): Item {
    return item;
  }
}

@Flow(Tracked)
class TrackedFlow {
  @FlowStep({ subject: 'in.tracked', concurrency: IN_FLIGHT })
  work(item: Item): Item {
    return handle(item);
  }
  @FlowStep({ after: 'work' })
  sink(item: Item): Item {
    return item;
  }
}

@Flow(Detailed)
class DetailedFlow {
  @FlowStep({ subject: 'in.detailed', concurrency: IN_FLIGHT })
  work(item: Item): Item {
    return handle(item);
  }
  @FlowStep({ after: 'work' })
  sink(item: Item): Item {
    return item;
  }
}

const server = await EmbeddedNatsServer.start();

@Module({
  imports: [FlowModule.forRoot({ servers: server.url })],
  providers: [UntrackedFlow, TrackedFlow, DetailedFlow],
})
class BenchModule {}

const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
const flows = app.get(FlowClient);
const seeder = app.get(FlowConnection);
const byHand = await connect({ servers: server.url, noAsyncTraces: true });
const manager = await jetstreamManager(byHand);
await manager.streams.add({ name: 'HAND_IN', subjects: ['in.hand'] });
await manager.streams.add({ name: 'HAND_OUT', subjects: ['out.hand'] });
await manager.consumers.add('HAND_IN', { durable_name: 'work', ack_policy: 'explicit', max_ack_pending: -1 });
for (const contract of [Untracked, Tracked, Detailed]) await flows.pause(contract);

/** Messages per second, and microseconds of processor time per message: the latter suffers less from busy neighbours. */
interface Measured {
  readonly rate: number;
  readonly cpu: number;
}
interface Mark {
  readonly at: number;
  readonly cpu: NodeJS.CpuUsage;
}
const mark = (): Mark => ({ at: performance.now(), cpu: process.cpuUsage() });
function since({ at, cpu }: Mark): Measured {
  const used = process.cpuUsage(cpu);
  return { rate: (messages / (performance.now() - at)) * 1000, cpu: (used.user + used.system) / messages };
}

async function seed(subject: string): Promise<void> {
  const sends: Promise<unknown>[] = [];
  for (let id = 0; id < messages; id += 1) {
    sends.push(seeder.publisher.publish(subject, Buffer.from(JSON.stringify({ id, text }))));
    if (sends.length === 1000) await Promise.all(sends.splice(0));
  }
  await Promise.all(sends);
}

async function pendingOf(jsm: JetStreamManager, stream: string, consumer: string): Promise<number> {
  return (await jsm.consumers.info(stream, consumer)).num_pending;
}

/** The work as somebody would write it on the client: callback consume, bounded publishes, acknowledge at the end. */
async function runByHand(nats: NatsConnection): Promise<Measured> {
  await seed('in.hand');
  const js = jetstream(nats);
  const consumer = await js.consumers.get('HAND_IN', 'work');
  const started = mark();
  let done = 0;
  let inFlight = 0;
  const waiting: JsMsg[] = [];
  await new Promise<void>((resolve, reject) => {
    const next = (message: JsMsg): void => {
      if (inFlight === IN_FLIGHT) return void waiting.push(message);
      inFlight += 1;
      const result = handle(JSON.parse(message.string()) as Item);
      js.publish('out.hand', JSON.stringify(result)).then(() => {
        message.ack();
        inFlight -= 1;
        done += 1;
        const following = waiting.shift();
        if (following !== undefined) next(following);
        if (done === messages) resolve();
      }, reject);
    };
    consumer.consume({ callback: next, max_messages: 1000 }).then((subscription) => {
      void subscription.closed().then((error) => error && reject(error));
      closeHand = () => void subscription.close();
    }, reject);
  });
  const measured = since(started);
  closeHand();
  return measured;
}
let closeHand = (): void => undefined;

async function runFlow(contract: typeof Untracked): Promise<Measured> {
  const stream = `FLOW_${contract.name}`;
  await seed(`in.${contract.name}`);
  const before = await pendingOf(manager, stream, 'step_sink');
  const started = mark();
  await flows.resume(contract, 'work');
  await flows.pause(contract, 'sink');
  await flows.resume(contract);
  await until(async () => (await pendingOf(manager, stream, 'step_sink')) === before + messages, {
    what: `${messages} messages behind the step`,
    timeoutMs: 120_000,
    intervalMs: 10,
  });
  const measured = since(started);
  await flows.pause(contract);
  return measured;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const only = process.argv[4];
const all: Record<string, () => Promise<Measured>> = {
  'by hand': () => runByHand(byHand),
  'flow, track none': () => runFlow(Untracked),
  'flow, track run': () => runFlow(Tracked),
  'flow, track step': () => runFlow(Detailed),
};
const contenders = Object.fromEntries(
  Object.entries(all).filter(([name]) => only === undefined || name.includes(only)),
);
const rates: Record<string, Measured[]> = {};
const memory: number[] = [];
for (let round = 0; round <= rounds; round += 1) {
  for (const [name, run] of Object.entries(contenders)) {
    const rate = await run();
    // The first round warms up.
    if (round > 0) (rates[name] ??= []).push(rate);
    memory.push(process.memoryUsage.rss());
  }
}

/** Takes spans and drops them: the cost of recording without that of a collector. */
const dropping: SpanExporter = {
  export: (_spans, done) => done({ code: core.ExportResultCode.SUCCESS }),
  shutdown: () => Promise.resolve(),
};
// Last, because nothing can take the tracer away again.
if (only === undefined) {
  const spanProcessors = [new SimpleSpanProcessor(dropping)];
  new NodeSDK({ spanProcessors, metricReaders: [], logRecordProcessors: [], autoDetectResources: false }).start();
  await runFlow(Untracked);
  rates['flow, track none, traced'] = [];
  for (let round = 0; round < rounds; round += 1) rates['flow, track none, traced'].push(await runFlow(Untracked));
}

const rateOf = (name: string): number => median((rates[name] ?? []).map(({ rate }) => rate));
const cpuOf = (name: string): number => median((rates[name] ?? []).map(({ cpu }) => cpu));
console.log(`\n${messages} messages, ${rounds} rounds, nats-server ${server.version}`);
for (const name of Object.keys(rates)) {
  const times = (rateOf(name) / rateOf('by hand')).toFixed(2);
  const effort = (cpuOf('by hand') / cpuOf(name)).toFixed(2);
  console.log(
    `${name.padEnd(26)} ${Math.round(rateOf(name)).toString().padStart(8)} msg/s ${times} x by hand; ` +
      `${cpuOf(name).toFixed(1)} us of processor per message, ${effort} x`,
  );
}
console.log(`RSS in MB after each part: ${memory.map((bytes) => Math.round(bytes / 1e6)).join(' ')}`);
await app.close();
await byHand.close();
await server.stop();
