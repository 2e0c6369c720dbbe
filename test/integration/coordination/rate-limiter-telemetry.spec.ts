import { expect, it } from 'vitest';
import { useFlowServer } from '../../support/flow-server.js';
import { recordTelemetry } from '../../support/telemetry.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();

it('records a span per question to the server, and decisions by outcome and source', async () => {
  await using telemetry = recordTelemetry();
  await using exact = await openLimiter(at.url, { name: 'exact', limit: 2, window: '1h' });
  await using leased = await openLimiter(at.url, { name: 'leased', limit: 100, window: '1h', precision: 'leased' });
  for (let index = 0; index < 4; index++) await exact.limiter.consume('key');
  for (let index = 0; index < 10; index++) await leased.limiter.consume('key');

  const spans = telemetry.spans().filter(({ name }) => name === 'consume flow_limit_exact');
  expect(spans).toHaveLength(2);
  expect(spans[0]?.attributes).toMatchObject({ 'db.collection.name': 'flow_limit_exact', 'flow.store.key': 'key' });

  const decisions = await telemetry.metric('flow.rate_limit.decisions');
  const count = (name: string, source: string, outcome: string): unknown =>
    decisions.find(
      ({ attributes }) =>
        attributes['flow.rate_limit.name'] === name &&
        attributes['flow.rate_limit.source'] === source &&
        attributes['flow.rate_limit.outcome'] === outcome,
    )?.value;
  expect(count('exact', 'store', 'allowed')).toBe(2);
  expect(count('exact', 'blocked', 'denied')).toBe(2);
  expect(Number(count('leased', 'store', 'allowed')) + Number(count('leased', 'leased', 'allowed'))).toBe(10);
  expect(count('leased', 'leased', 'allowed')).toBeGreaterThan(5);
  const [units] = await telemetry.metric('flow.rate_limit.leased');
  expect(units?.value).toBeGreaterThanOrEqual(10);
});
