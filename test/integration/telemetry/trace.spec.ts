import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { FlowClient, FlowModule } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';
import type { PinoLine } from '../../support/log-lines.js';
import { OtlpCollector, type OtlpTraces } from '../../support/otlp-collector.js';
import { recordTelemetry } from '../../support/telemetry.js';
import { OrderFlow, Orders, Tally } from './order-flow.js';

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
}

/** `child < parent` for each span, in any order. */
function relations(spans: readonly Span[]): string[] {
  const names = new Map(spans.map((span) => [span.spanId, span.name]));
  return spans.map((span) => `${span.name} < ${names.get(span.parentSpanId ?? '') ?? '-'}`);
}

function toSpan(span: ReadableSpan): Span {
  const { traceId, spanId } = span.spanContext();
  return { name: span.name, traceId, spanId, parentSpanId: span.parentSpanContext?.spanId };
}

const IN_ONE_LINE = [
  'publish flow.traced.start < -',
  'process traced.price < publish flow.traced.start',
  'publish flow.traced.step.charge < process traced.price',
  'process traced.charge < publish flow.traced.step.charge',
  'update traced_tally < process traced.charge',
  'publish flow.traced.step.confirm < process traced.charge',
  'process traced.confirm < publish flow.traced.step.confirm',
];

describe('the trace of a run', () => {
  it('goes from its start through all steps, and is measured', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using telemetry = recordTelemetry();
    await using app = await startFlowApp(server.url, [OrderFlow], {}, [FlowModule.forFeature({ objects: [Tally] })]);
    const run = await app.get(FlowClient).start(Orders, { id: 'one', passed: 0 }, { runId: 'one' });
    expect(await run.result()).toEqual({ id: 'one', passed: 3 });
    await app[Symbol.asyncDispose]();

    const spans = telemetry.spans().map(toSpan);
    expect(relations(spans)).toEqual(expect.arrayContaining(IN_ONE_LINE));
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);

    expect(await telemetry.metric('flow.step.outcomes')).toMatchObject(
      ['price', 'charge', 'confirm'].map((step) => ({
        attributes: { 'flow.name': 'traced', 'flow.step': step, 'flow.outcome': 'completed' },
        value: 1,
      })),
    );
  });

  it('goes on in another process, whose log lines name it', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using collector = await OtlpCollector.start();
    await using telemetry = recordTelemetry();
    const script = fileURLToPath(new URL('./worker-process.ts', import.meta.url));
    const worker = spawn(process.execPath, ['--import', '@swc-node/register/esm-register', script, server.url], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: {
        ...process.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_METRICS_EXPORTER: 'none',
      },
    });
    const [output, ended] = [text(worker.stdout as Readable), once(worker, 'exit')];
    // What Nest buffers until it has its logger is written later, outside of the step.
    await once(worker, 'message');
    await using app = await startFlowApp(server.url, []);
    const run = await trace.getTracer('shop').startActiveSpan('checkout', async (checkout) => {
      const started = await app.get(FlowClient).start(Orders, { id: 'two', passed: 0 }, { runId: 'two' });
      checkout.end();
      return started;
    });
    expect(await run.result()).toEqual({ id: 'two', passed: 3 });
    worker.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);

    const here = telemetry.spans().map(toSpan);
    const there = collector
      .json<OtlpTraces>('/v1/traces')
      .flatMap(({ resourceSpans }) => resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap(({ spans }) => spans);
    expect(relations([...here, ...there])).toEqual(
      expect.arrayContaining([
        'checkout < -',
        'publish flow.traced.start < checkout',
        ...IN_ONE_LINE.filter((relation) => !relation.startsWith('publish flow.traced.start <')),
      ]),
    );
    const traceIds = new Set([...here, ...there].map(({ traceId }) => traceId));
    expect(traceIds.size).toBe(1);

    const lines = (await output).split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as PinoLine]));
    for (const step of ['price', 'charge', 'confirm']) {
      expect(lines.find(({ msg }) => msg === `in ${step}`)).toMatchObject({
        flow: 'traced',
        step,
        runId: 'two',
        attempt: 1,
        trace_id: [...traceIds][0],
        span_id: there.find(({ name }) => name === `process traced.${step}`)!.spanId,
      });
    }
    expect(lines.filter((line) => 'runId' in line && line.runId !== 'two')).toEqual([]);
  });
});
