import { isSpanContextValid, metrics, propagation, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigurationError } from 'nestjs-jetstream-flow';
import { startOpenTelemetry } from 'nestjs-jetstream-flow/opentelemetry';
import { FlowMeter } from '../../../lib/telemetry/metrics.js';
import { FlowTracer } from '../../../lib/telemetry/tracer.js';
import { OtlpCollector, type OtlpTraces } from '../../support/otlp-collector.js';
import { until } from '../../support/until.js';

const message = { subject: 'orders.created', data: new Uint8Array(3), headers: undefined };

function spansOf(collector: OtlpCollector): string[] {
  return collector
    .json<OtlpTraces>('/v1/traces')
    .flatMap((request) => request.resourceSpans)
    .flatMap((resource) => resource.scopeSpans)
    .flatMap((scope) => scope.spans)
    .map((span) => span.name);
}

function serviceNamesOf(collector: OtlpCollector): (string | undefined)[] {
  return collector
    .json<OtlpTraces>('/v1/traces')
    .flatMap((request) => request.resourceSpans)
    .map(({ resource }) => resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue);
}

describe('startOpenTelemetry', () => {
  beforeEach(() => {
    // What the machine sets must not decide what the test sees.
    for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined);
  });

  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('exports spans and metrics to a collector when it is shut down', async () => {
    await using collector = await OtlpCollector.start();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'http/json');
    vi.stubEnv('OTEL_SERVICE_NAME', 'shop');
    const telemetry = startOpenTelemetry({ serviceName: 'not this one' });
    expect(telemetry.enabled).toBe(true);

    const step = new FlowMeter().step('orders', 'price');
    step.started(false);
    await new FlowTracer().publish(message, async () => undefined);
    step.finished('advanced', 1);
    expect(collector.requests).toEqual([]);
    await telemetry.shutdown();

    expect(spansOf(collector)).toEqual(['publish orders.created']);
    expect(serviceNamesOf(collector)).toEqual(['shop']);
    const exported = JSON.stringify(collector.json('/v1/metrics'));
    expect(exported).toContain('"flow.step.duration"');
    expect(exported).toContain('"flow.step.outcomes"');
  });

  it('speaks Protobuf by default, and to the endpoint of one signal alone', async () => {
    await using collector = await OtlpCollector.start();
    vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', `${collector.url}/v1/traces`);
    const telemetry = startOpenTelemetry({ serviceName: 'shop' });
    await new FlowTracer().publish(message, async () => undefined);
    expect(new FlowMeter().enabled).toBe(false);
    await telemetry.shutdown();
    expect(collector.requests).toMatchObject([{ path: '/v1/traces', contentType: 'application/x-protobuf' }]);
    expect(collector.requests[0]!.body.includes('publish orders.created')).toBe(true);
    expect(collector.requests[0]!.body.includes('shop')).toBe(true);
  });

  it('makes ids and passes traces on when nothing is configured, and exports nothing', async () => {
    const telemetry = startOpenTelemetry();
    const ids = await new FlowTracer().publish(message, async () => trace.getActiveSpan()?.spanContext());
    expect(isSpanContextValid(ids!)).toBe(true);
    expect(propagation.fields()).toContain('traceparent');
    expect(new FlowMeter().enabled).toBe(false);
    await telemetry.shutdown();
  });

  it('makes no spans with OTEL_TRACES_EXPORTER=none', async () => {
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'none');
    await using telemetry = startOpenTelemetry();
    expect(telemetry.enabled).toBe(true);
    await expect(new FlowTracer().publish(message, async (span) => span)).resolves.toBeUndefined();
  });

  it('stays off with OTEL_SDK_DISABLED=true', async () => {
    await using collector = await OtlpCollector.start();
    vi.stubEnv('OTEL_SDK_DISABLED', 'true');
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
    const telemetry = startOpenTelemetry();
    expect(telemetry.enabled).toBe(false);
    await expect(new FlowTracer().publish(message, async (span) => span)).resolves.toBeUndefined();
    expect(propagation.fields()).toEqual([]);
    await telemetry.shutdown();
    expect(collector.requests).toEqual([]);
  });

  it('takes a processor of the program before the environment', async () => {
    const exporter = new InMemorySpanExporter();
    await using telemetry = startOpenTelemetry({ sdk: { spanProcessors: [new SimpleSpanProcessor(exporter)] } });
    await new FlowTracer().publish(message, async () => undefined);
    expect(telemetry.enabled).toBe(true);
    await until(() => exporter.getFinishedSpans().length === 1, { what: 'the exported span' });
  });

  it('refuses to be started twice, and starts again after a shutdown', async () => {
    const first = startOpenTelemetry();
    expect(() => startOpenTelemetry()).toThrow(ConfigurationError);
    await Promise.all([first.shutdown(), first.shutdown()]);
    expect(metrics.getMeter('test')).toBeDefined();
    await startOpenTelemetry().shutdown();
  });

  it('says so when the collector cannot be reached', async () => {
    const { url } = await closedCollector();
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url);
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '200');
    const telemetry = startOpenTelemetry();
    await new FlowTracer().publish(message, async () => undefined);
    await expect(telemetry.shutdown()).rejects.toThrow();
    expect(propagation.fields()).toEqual([]);
  });
});

/** The address of a collector that was there a moment ago. */
async function closedCollector(): Promise<{ url: string }> {
  await using collector = await OtlpCollector.start();
  return { url: collector.url };
}
