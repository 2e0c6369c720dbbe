/**
 * What spans, log context and metrics cost per call: without an OpenTelemetry SDK, and with one that records and
 * batches every span.
 *
 * node --import @swc-node/register/esm-register test/bench/telemetry.bench.ts [calls] [rounds]
 *
 * Figures are nanoseconds of processor time on top of an awaited call that does nothing, the median of the rounds:
 * others on the machine count little.
 */
import { core, NodeSDK } from '@opentelemetry/sdk-node';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base';
import { headers } from '@nats-io/transport-node';
import { runWithLogFields } from '../../lib/telemetry/log-context.js';
import { FlowMeter } from '../../lib/telemetry/metrics.js';
import { FlowTracer } from '../../lib/telemetry/tracer.js';

const calls = Number(process.argv[2] ?? 200_000);
const rounds = Number(process.argv[3] ?? 7);

const tracer = new FlowTracer();
const meter = new FlowMeter();
const step = meter.step('orders', 'price');
const publisher = meter.publisher('flow.orders.step.price');
const data = new Uint8Array(128);
const fields = { flow: 'orders', step: 'price', runId: '01J9ZC0000000000000000000', attempt: 1 };
const subject = `flow.orders.step.price.${fields.runId}`;
const destination = 'flow.orders.step.price';

const received = headers();
received.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
const delivery = { subject, stream: 'FLOW_orders', sequence: 1, redelivered: false, data, headers: received };

const work = async (): Promise<void> => undefined;
const cases: Readonly<Record<string, () => Promise<unknown>>> = {
  'nothing (base)': work,
  'log fields': () => runWithLogFields(fields, work),
  'process span': () => tracer.process(fields, delivery, work),
  // With headers that are made for each message, as they are in earnest; see the next line for their share.
  'publish span and headers': () => tracer.publish({ subject, destination, data, headers: headers() }, work),
  'headers alone': async () => headers(),
  'store span': () => tracer.storeOperation('update', { bucket: 'airport_delays', key: 'SFO' }, work),
  'step metrics': async () => {
    step.started(false);
    step.finished('advanced', 1);
  },
  'publish metric': async () => publisher.published(1),
};

/** Nanoseconds of processor time per call, sequentially awaited. */
async function measure(call: () => Promise<unknown>): Promise<number> {
  const started = process.cpuUsage();
  for (let index = 0; index < calls; index++) await call();
  const { user, system } = process.cpuUsage(started);
  return ((user + system) / calls) * 1000;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function measureAll(title: string): Promise<void> {
  const names = Object.keys(cases);
  const times = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const time = await measure(cases[name]!);
      if (round >= 0) times.get(name)?.push(time);
    }
  }
  const base = median(times.get(names[0]!) ?? []);
  process.stdout.write(`${title}: base ${base.toFixed(0)} ns\n`);
  for (const name of names.slice(1)) {
    const extra = median(times.get(name) ?? []) - base;
    process.stdout.write(`  ${name.padEnd(26)}${extra.toFixed(0).padStart(8)} ns\n`);
  }
}

await measureAll('no SDK');

const discard: SpanExporter = {
  export: (_spans, done) => done({ code: core.ExportResultCode.SUCCESS }),
  shutdown: async () => undefined,
};
const sdk = new NodeSDK({
  spanProcessors: [new BatchSpanProcessor(discard)],
  metricReaders: [
    new PeriodicExportingMetricReader({ exporter: new InMemoryMetricExporter(AggregationTemporality.DELTA) }),
  ],
  logRecordProcessors: [],
  autoDetectResources: false,
});
sdk.start();
await measureAll('SDK that records and batches every span');
await sdk.shutdown();
