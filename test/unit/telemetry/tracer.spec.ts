import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PublishTimeoutError } from '../../../lib/common/errors.js';
import { FlowTracer, type ProcessedMessage, type PublishedMessage } from '../../../lib/telemetry/tracer.js';
import { MapCarrier } from '../../support/header-carrier.js';
import { recordTelemetry, type RecordedTelemetry } from '../../support/telemetry.js';

const fields = { flow: 'orders', step: 'price', runId: 'r1', attempt: 2 };

function published(headers?: MapCarrier): PublishedMessage {
  return {
    subject: 'flow.orders.step.price.r1',
    destination: 'flow.orders.step.price',
    data: new Uint8Array(5),
    headers,
    messageId: 'm1',
  };
}

function processed(headers?: MapCarrier): ProcessedMessage {
  return {
    subject: 'flow.orders.step.price.r1',
    stream: 'FLOW_orders',
    sequence: 7,
    redelivered: true,
    data: new Uint8Array(5),
    headers,
  };
}

describe('FlowTracer with an SDK', () => {
  let telemetry: RecordedTelemetry;
  let tracer: FlowTracer;

  beforeEach(() => {
    telemetry = recordTelemetry();
    tracer = new FlowTracer();
  });

  afterEach(() => telemetry[Symbol.asyncDispose]());

  it('names and describes a publish by the messaging conventions', async () => {
    await expect(tracer.publish(published(), async () => 'stored')).resolves.toBe('stored');
    const [span] = telemetry.spans();
    expect(span).toMatchObject({
      name: 'publish flow.orders.step.price',
      kind: SpanKind.PRODUCER,
      status: { code: SpanStatusCode.UNSET },
      instrumentationScope: { name: 'nestjs-jetstream-flow' },
    });
    expect(span!.attributes).toEqual({
      'messaging.system': 'nats',
      'messaging.system.name': 'nats',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'flow.orders.step.price.r1',
      'messaging.destination.template': 'flow.orders.step.price',
      'messaging.message.body.size': 5,
      'messaging.message.id': 'm1',
    });
  });

  it('names and describes a step', async () => {
    await tracer.process(fields, processed(), async (span) => span?.setAttribute('flow.outcome', 'advanced'));
    const [span] = telemetry.spans();
    expect(span).toMatchObject({ name: 'process orders.price', kind: SpanKind.CONSUMER });
    expect(span!.attributes).toEqual({
      'messaging.system': 'nats',
      'messaging.system.name': 'nats',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'flow.orders.step.price.r1',
      'messaging.message.body.size': 5,
      'flow.name': 'orders',
      'flow.step': 'price',
      'flow.run_id': 'r1',
      'flow.attempt': 2,
      'flow.redelivered': true,
      'flow.stream': 'FLOW_orders',
      'flow.stream_sequence': 7,
      'flow.outcome': 'advanced',
    });
  });

  it('names and describes a store operation', async () => {
    await tracer.storeOperation('update', { bucket: 'airport_delays', key: 'SFO' }, async () => 1);
    const [span] = telemetry.spans();
    expect(span).toMatchObject({ name: 'update airport_delays', kind: SpanKind.CLIENT });
    expect(span!.attributes).toEqual({
      'db.system.name': 'nats',
      'db.operation.name': 'update',
      'db.collection.name': 'airport_delays',
      'flow.store.key': 'SFO',
    });
  });

  it('makes one trace of start, steps, their publishes and store operations', async () => {
    const [first, second] = [new MapCarrier(), new MapCarrier()];
    await tracer.publish(published(first), async () => undefined);
    // Received where nothing is active, as by a consumer.
    await context.with(ROOT_CONTEXT, () =>
      tracer.process(fields, processed(first), async () => {
        await tracer.storeOperation('update', { bucket: 'b' }, async () => undefined);
        await tracer.publish(published(second), async () => undefined);
      }),
    );
    await tracer.process({ ...fields, step: 'charge' }, processed(second), async () => undefined);

    const spans = telemetry.spans();
    expect(new Set(spans.map((span) => span.spanContext().traceId)).size).toBe(1);
    const byId = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
    expect(spans.map((span) => [span.name, byId.get(span.parentSpanContext?.spanId ?? '')])).toEqual([
      ['publish flow.orders.step.price', undefined],
      ['update b', 'process orders.price'],
      ['publish flow.orders.step.price', 'process orders.price'],
      ['process orders.price', 'publish flow.orders.step.price'],
      ['process orders.charge', 'publish flow.orders.step.price'],
    ]);
  });

  it('starts a trace of its own for a message without one, whatever is active', async () => {
    await trace.getTracer('test').startActiveSpan('around', async (around) => {
      await tracer.process(fields, processed(new MapCarrier()), async () => undefined);
      around.end();
    });
    const [step, around] = telemetry.spans();
    expect(step!.parentSpanContext).toBeUndefined();
    expect(step!.spanContext().traceId).not.toBe(around!.spanContext().traceId);
  });

  it('links the other messages that a step was given', async () => {
    const [first, second] = [new MapCarrier(), new MapCarrier()];
    await tracer.publish(published(first), async () => undefined);
    await tracer.publish(published(second), async () => undefined);
    await tracer.process(fields, processed(first), async () => undefined, [second, new MapCarrier()]);
    const spans = telemetry.spans();
    expect(spans[2]!.links.map((link) => link.context.spanId)).toEqual([spans[1]!.spanContext().spanId]);
  });

  it('records an error of ours by its code, and passes it on', async () => {
    const error = new PublishTimeoutError('orders', 100);
    await expect(tracer.publish(published(), () => Promise.reject(error))).rejects.toBe(error);
    const [span] = telemetry.spans();
    expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message: error.message });
    expect(span!.attributes['error.type']).toBe('PUBLISH_TIMEOUT');
    expect(span!.events[0]).toMatchObject({
      name: 'exception',
      attributes: { 'exception.message': error.message },
    });
  });

  it.each([
    [new RangeError('too far'), 'RangeError', 'too far'],
    ['only text', 'Error', 'only text'],
  ])('records whatever a handler throws: %s', async (thrown: unknown, type, message) => {
    const throwing = (): Promise<never> => {
      throw thrown;
    };
    await expect(tracer.process(fields, processed(), throwing)).rejects.toBe(thrown);
    const [span] = telemetry.spans();
    expect(span!.attributes['error.type']).toBe(type);
    expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message });
  });

  it('has the span active in the handler and its continuations', async () => {
    await tracer.process(fields, processed(), async (span) => {
      expect(trace.getActiveSpan()).toBe(span);
      await Promise.resolve();
      expect(trace.getActiveSpan()).toBe(span);
    });
    expect(telemetry.spans()).toHaveLength(1);
  });
});

describe('FlowTracer without an SDK', () => {
  it('calls the function and writes no headers', async () => {
    const tracer = new FlowTracer();
    const headers = new MapCarrier();
    await expect(tracer.publish(published(headers), async (span) => span)).resolves.toBeUndefined();
    await expect(tracer.process(fields, processed(headers), async (span) => span)).resolves.toBeUndefined();
    await expect(tracer.storeOperation('update', { bucket: 'b' }, async (span) => span)).resolves.toBeUndefined();
    expect(headers.keys()).toEqual([]);
  });

  it('picks up an SDK that is registered later', async () => {
    const tracer = new FlowTracer();
    await tracer.publish(published(), async () => undefined);
    await using telemetry = recordTelemetry();
    await tracer.publish(published(), async () => undefined);
    expect(telemetry.spans()).toHaveLength(1);
  });
});
