import { context, propagation, ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { extractTrace, injectTrace } from '../../../lib/telemetry/propagation.js';
import { FlowTracer } from '../../../lib/telemetry/tracer.js';
import { MapCarrier } from '../../support/header-carrier.js';
import { recordTelemetry, type RecordedTelemetry } from '../../support/telemetry.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

describe('propagation', () => {
  let telemetry: RecordedTelemetry;

  beforeEach(() => {
    telemetry = recordTelemetry();
  });

  afterEach(() => telemetry[Symbol.asyncDispose]());

  it('reads what it wrote', () => {
    const sent = extractTrace(new MapCarrier({ traceparent: TRACEPARENT, tracestate: 'vendor=1' }));
    const carrier = new MapCarrier();
    injectTrace(carrier, sent);
    expect(Object.fromEntries(carrier.headers)).toEqual({ traceparent: TRACEPARENT, tracestate: 'vendor=1' });
  });

  it.each(['traceparent', 'Traceparent', 'TraceParent'])('reads the header as %s', (name) => {
    expect(trace.getSpanContext(extractTrace(new MapCarrier({ [name]: TRACEPARENT })))).toMatchObject({
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
    });
  });

  it.each(['', 'nonsense', '00-00000000000000000000000000000000-b7ad6b7169203331-01'])(
    'takes a broken header for none: "%s"',
    (traceparent) => {
      expect(trace.getSpanContext(extractTrace(new MapCarrier({ traceparent })))).toBeUndefined();
    },
  );

  it('carries baggage along', () => {
    const received = extractTrace(new MapCarrier({ traceparent: TRACEPARENT, baggage: 'tenant=acme' }));
    expect(propagation.getBaggage(received)?.getEntry('tenant')?.value).toBe('acme');
  });

  it('writes the active trace when told no other, and nothing outside of any', () => {
    const carrier = new MapCarrier();
    injectTrace(carrier);
    expect(carrier.keys()).toEqual([]);
    context.with(extractTrace(new MapCarrier({ traceparent: TRACEPARENT })), () => injectTrace(carrier));
    expect(carrier.get('traceparent')).toBe(TRACEPARENT);
  });
});

describe('propagation without a tracer', () => {
  it('passes the trace of a message on to those published while it is processed', async () => {
    await using telemetry = recordTelemetry();
    trace.disable();
    const tracer = new FlowTracer();
    const [received, sent] = [new MapCarrier({ traceparent: TRACEPARENT }), new MapCarrier()];
    const message = { subject: 's', stream: 'S', sequence: 1, redelivered: false, data: new Uint8Array() };
    await tracer.process({ flow: 'f', step: 's', runId: 'r', attempt: 1 }, { ...message, headers: received }, () =>
      tracer.publish({ ...message, headers: sent }, async () => undefined),
    );
    expect(sent.get('traceparent')).toBe(TRACEPARENT);
    expect(telemetry.spans()).toEqual([]);
  });

  it('reads and writes nothing without a propagator', () => {
    const carrier = new MapCarrier({ traceparent: TRACEPARENT });
    expect(extractTrace(carrier)).toBe(ROOT_CONTEXT);
  });
});
