/**
 * One pipeline step (consume, handle, publish on, acknowledge) through a flow against the same work written by hand on
 * the NATS client, in one run on one server: without run records, with them, and all of that with a recording tracer. Then
 * the memory of this process while each of them takes four times as many messages.
 *
 * node --import @swc-node/register/esm-register test/bench/pipeline.bench.ts [messages] [rounds] [only: part of a name]
 *
 * Absolute numbers depend on the machine; the ratios are what counts. Each figure is the median of the rounds, a ratio that
 * of each round with the work by hand in the same round. What is judged misses its aim with exit code 1.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowClient, FlowConnection, FlowModule } from '../../lib/index.js';
import { EmbeddedNatsServer } from '../../lib/testing/index.js';
import { until } from '../support/until.js';
import { recordSpans } from './support/drop-spans.js';
import { judge } from './support/judge.js';
import { median } from './support/median.js';
import { pipelineByHand } from './support/pipeline-by-hand.js';
import { pipelineFlow, type PipelineFlow } from './support/pipeline-flow.js';
import { heldMegabytes } from './support/held-memory.js';

const messages = Number(process.argv[2] ?? 50_000);
const rounds = Number(process.argv[3] ?? 3);
const only = process.argv[4] ?? '';

const BY_HAND = 'by hand';
/** Of the rate by hand, for a flow without run records and without a tracer. */
const LEAST_RATIO = 1.2;
/** Passes of so many messages each, behind the one that warms up. */
const MEMORY_PASSES = 4;
/** Megabytes in all of these passes: at the usual 200,000 messages, 160 bytes of each. */
const MOST_GROWTH = 32;
const text = 'x'.repeat(100);

const tracked = {
  'track none': pipelineFlow('none'),
  'track run': pipelineFlow('run'),
  'track step': pipelineFlow('step'),
};

const server = await EmbeddedNatsServer.start();
@Module({
  imports: [FlowModule.forRoot({ servers: server.url })],
  providers: Object.values(tracked).map(({ provider }) => provider),
})
class BenchModule {}
const app = await NestFactory.createApplicationContext(BenchModule, { logger: ['error', 'warn'] });
const flows = app.get(FlowClient);
const { manager, publisher } = app.get(FlowConnection);
const byHand = await pipelineByHand(server.url);
for (const { contract } of Object.values(tracked)) await flows.pause(contract);

/** Messages per second, and microseconds of processor time per message: the latter suffers less from busy neighbours. */
interface Measured {
  readonly rate: number;
  readonly cpu: number;
}
async function measure(work: () => Promise<void>): Promise<Measured> {
  const used = process.cpuUsage();
  const started = performance.now();
  await work();
  const rate = (messages / (performance.now() - started)) * 1000;
  const { user, system } = process.cpuUsage(used);
  return { rate, cpu: (user + system) / messages };
}

async function seed(subject: string): Promise<void> {
  const sends: Promise<unknown>[] = [];
  for (let id = 0; id < messages; id += 1) {
    sends.push(publisher.publish(subject, Buffer.from(JSON.stringify({ id, text }))));
    if (sends.length === 1000) await Promise.all(sends.splice(0));
  }
  await Promise.all(sends);
}

/** Streams that have grown would slow down whatever comes later. */
async function empty(...streams: string[]): Promise<void> {
  for (const stream of streams) await manager.streams.purge(stream);
}

async function passByHand(): Promise<Measured> {
  await seed('in.hand');
  const measured = await measure(() => byHand.run(messages));
  await empty('HAND_IN', 'HAND_OUT');
  return measured;
}

async function passFlow({ contract }: PipelineFlow): Promise<Measured> {
  const stream = `FLOW_${contract.name}`;
  await seed(`in.${contract.name}`);
  const measured = await measure(async () => {
    await flows.resume(contract, 'work');
    await flows.pause(contract, 'sink');
    await flows.resume(contract);
    await until(async () => (await manager.consumers.info(stream, 'step_sink')).num_pending === messages, {
      what: `${messages} messages behind the step`,
      timeoutMs: 300_000,
      intervalMs: 10,
    });
  });
  await flows.pause(contract);
  await empty(stream, `${stream}_IN`);
  return measured;
}

type Contenders = ReadonlyMap<string, () => Promise<Measured>>;

/** The work by hand, and those flows that were asked for. */
function contenders(suffix: string): Contenders {
  const named = Object.entries(tracked).map(
    ([name, flow]) => [`flow, ${name}${suffix}`, () => passFlow(flow)] as const,
  );
  return new Map([[BY_HAND, passByHand], ...named.filter(([name]) => name.includes(only))]);
}

/** The ratio of each flow to the work by hand. */
async function compare(all: Contenders): Promise<ReadonlyMap<string, number>> {
  const taken = new Map<string, Measured[]>(Array.from(all.keys(), (name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, pass] of all) {
      const measured = await pass();
      // The first round warms up.
      if (round > 0) taken.get(name)?.push(measured);
    }
  }
  const hand = taken.get(BY_HAND) ?? [];
  const ratios = new Map<string, number>();
  for (const [name, samples] of taken) {
    const ratio = median(samples.map(({ rate }, round) => rate / (hand[round]?.rate ?? NaN)));
    const effort = median(samples.map(({ cpu }, round) => (hand[round]?.cpu ?? NaN) / cpu));
    const rate = Math.round(median(samples.map((sample) => sample.rate)));
    const cpu = median(samples.map((sample) => sample.cpu));
    console.log(
      `${name.padEnd(26)} ${rate.toString().padStart(8)} msg/s ${ratio.toFixed(2)} x by hand; ` +
        `${cpu.toFixed(1)} us of processor per message, ${effort.toFixed(2)} x`,
    );
    ratios.set(name, ratio);
  }
  return ratios;
}

/** One after the other, so that what grows is of the one that is named. */
async function watchMemory(all: Contenders): Promise<void> {
  for (const [name, pass] of all) {
    await pass();
    const first = heldMegabytes();
    let last = first;
    for (let done = 0; done < MEMORY_PASSES; done += 1) {
      await pass();
      last = heldMegabytes();
    }
    const growth = last.rss - first.rss;
    const later = (MEMORY_PASSES * messages).toLocaleString('en');
    judge(
      `RSS, ${name}: ${first.rss.toFixed(0)} MB when warm, ${last.rss.toFixed(0)} MB ${later} messages later ` +
        `(heap ${first.heap.toFixed(0)} and ${last.heap.toFixed(0)} MB), growth ${growth.toFixed(1)} MB`,
      growth,
      { atMost: MOST_GROWTH },
    );
  }
}

console.log(`${messages} messages, ${rounds} rounds, nats-server ${server.version}, node ${process.version}`);
const plain = contenders('');
const ratios = await compare(plain);
await watchMemory(plain);
// Last, because nothing can take the tracer away again.
recordSpans();
const traced = contenders(', traced');
console.log('\nwith a tracer that records');
await compare(traced);
await watchMemory(traced);

const ratio = ratios.get('flow, track none');
console.log('');
if (ratio !== undefined) judge(`flow, track none: ${ratio.toFixed(2)} x by hand`, ratio, { atLeast: LEAST_RATIO });
await app.close();
await byHand[Symbol.asyncDispose]();
await server.stop();
