import { describe, expect, it } from 'vitest';
import { FlowMeter } from '../../../lib/telemetry/metrics.js';
import { recordTelemetry } from '../../support/telemetry.js';

describe('FlowMeter', () => {
  it('measures steps by flow, step and outcome', async () => {
    await using telemetry = recordTelemetry();
    const step = new FlowMeter().step('orders', 'price');
    step.started(false);
    step.started(true);
    step.started(false);
    step.finished('advanced', 20);
    step.finished('retried', 2000);

    const attributes = { 'flow.name': 'orders', 'flow.step': 'price' };
    const outcome = (kind: string) => ({ ...attributes, 'flow.outcome': kind });
    expect(await telemetry.metric('flow.step.outcomes')).toMatchObject([
      { attributes: outcome('advanced'), value: 1 },
      { attributes: outcome('retried'), value: 1 },
    ]);
    expect(await telemetry.metric('flow.step.duration')).toMatchObject([
      { attributes: outcome('advanced'), value: { count: 1, sum: 0.02 } },
      { attributes: outcome('retried'), value: { count: 1, sum: 2 } },
    ]);
    expect(await telemetry.metric('flow.redeliveries')).toMatchObject([{ attributes, value: 1 }]);
    expect(await telemetry.metric('flow.in_flight')).toMatchObject([{ attributes, value: 1 }]);
  });

  it('measures publishes, failed ones by error', async () => {
    await using telemetry = recordTelemetry();
    const publisher = new FlowMeter().publisher('flow.orders.step.price');
    publisher.published(1);
    publisher.published(3);
    publisher.published(10_000, 'PUBLISH_TIMEOUT');

    const attributes = { 'messaging.destination.template': 'flow.orders.step.price' };
    expect(await telemetry.metric('flow.publish.duration')).toMatchObject([
      { attributes, value: { count: 2, sum: 0.004 } },
      { attributes: { ...attributes, 'error.type': 'PUBLISH_TIMEOUT' }, value: { count: 1, sum: 10 } },
    ]);
  });

  it('counts decisions of a limiter by who decided, whoever decides by turns', async () => {
    await using telemetry = recordTelemetry();
    const limiter = new FlowMeter().rateLimiter('api');
    for (const source of ['leased', 'leased', 'store', 'leased', 'store']) limiter.decided(source, true);
    limiter.decided('blocked', false);

    const of = (source: string, outcome: string) => ({
      'flow.rate_limit.name': 'api',
      'flow.rate_limit.source': source,
      'flow.rate_limit.outcome': outcome,
    });
    expect(await telemetry.metric('flow.rate_limit.decisions')).toMatchObject([
      { attributes: of('leased', 'allowed'), value: 3 },
      { attributes: of('store', 'allowed'), value: 2 },
      { attributes: of('blocked', 'denied'), value: 1 },
    ]);
  });

  it('counts changes of the connection by status', async () => {
    await using telemetry = recordTelemetry();
    const meter = new FlowMeter();
    meter.connectionStatus('shop', 'disconnected');
    meter.connectionStatus('shop', 'connected');
    meter.connectionStatus('shop', 'disconnected');

    const status = (to: string) => ({ 'flow.connection.name': 'shop', 'flow.connection.status': to });
    expect(await telemetry.metric('flow.connection.status_changes')).toMatchObject([
      { attributes: status('disconnected'), value: 2 },
      { attributes: status('connected'), value: 1 },
    ]);
  });

  it('measures stores by bucket', async () => {
    await using telemetry = recordTelemetry();
    const store = new FlowMeter().store('airport_delays');
    store.queued(3);
    store.queued(-1);
    store.conflict();
    store.conflict();
    store.retry();
    store.committed(64);
    store.operation('update', 4);
    store.operation('read', 1);

    const attributes = { 'db.collection.name': 'airport_delays' };
    expect(await telemetry.metric('flow.store.queue_depth')).toMatchObject([{ attributes, value: 2 }]);
    expect(await telemetry.metric('flow.store.conflicts')).toMatchObject([{ attributes, value: 2 }]);
    expect(await telemetry.metric('flow.store.retries')).toMatchObject([{ attributes, value: 1 }]);
    expect(await telemetry.metric('flow.store.batch_size')).toMatchObject([{ attributes, value: { sum: 64 } }]);
    expect(await telemetry.metric('flow.store.operation.duration')).toMatchObject([
      { attributes: { ...attributes, 'db.operation.name': 'update' }, value: { sum: 0.004 } },
      { attributes: { ...attributes, 'db.operation.name': 'read' }, value: { sum: 0.001 } },
    ]);
  });

  it('counts what happened before a meter provider appeared', async () => {
    const meter = new FlowMeter();
    const step = meter.step('orders', 'price');
    expect(meter.enabled).toBe(false);
    step.started(true);
    step.started(false);
    step.finished('advanced', 1);
    meter.connectionStatus('shop', 'connected');

    await using telemetry = recordTelemetry();
    expect(meter.enabled).toBe(true);
    step.started(false);
    expect(await telemetry.metric('flow.in_flight')).toMatchObject([{ value: 2 }]);
    step.finished('advanced', 1);
    step.finished('advanced', 1);
    expect(await telemetry.metric('flow.in_flight')).toMatchObject([{ value: 0 }]);
    expect(await telemetry.metric('flow.step.outcomes')).toMatchObject([{ value: 3 }]);
    expect(await telemetry.metric('flow.redeliveries')).toMatchObject([{ value: 1 }]);
    expect(await telemetry.metric('flow.connection.status_changes')).toMatchObject([{ value: 1 }]);
  });

  it('adds up what several modules measure', async () => {
    await using telemetry = recordTelemetry();
    const steps = [new FlowMeter(), new FlowMeter()].map((meter) => meter.step('orders', 'price'));
    for (const step of steps) {
      step.started(false);
      step.started(false);
      step.finished('advanced', 1);
    }
    expect(await telemetry.metric('flow.in_flight')).toMatchObject([{ value: 2 }]);
    expect(await telemetry.metric('flow.step.outcomes')).toMatchObject([{ value: 2 }]);
    expect(await telemetry.metric('flow.in_flight')).toMatchObject([{ value: 2 }]);
  });

  it('hands in the rest when it is closed, and nothing after', async () => {
    await using telemetry = recordTelemetry();
    const meter = new FlowMeter();
    const step = meter.step('orders', 'price');
    step.started(false);
    step.finished('advanced', 1);
    meter.close();
    step.started(false);
    expect(await telemetry.metric('flow.step.outcomes')).toMatchObject([{ value: 1 }]);
    expect(await telemetry.metric('flow.in_flight')).toEqual([]);
    expect(await telemetry.metric('flow.collect')).toEqual([]);
  });
});
