import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { recordTelemetry } from '../../support/telemetry.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

it('records a span per operation, and conflicts, batch sizes, latency and queue as metrics', async () => {
  await using telemetry = recordTelemetry();
  await using at = await openTallies(server.url);
  await using other = await openTallies(server.url);
  const key = { id: 'seen' };
  await Promise.all(Array.from({ length: 10 }, () => at.store.update(key, 1)));
  await other.store.update(key, 1);
  await at.store.update(key, 1);
  await at.store.read(key);
  await expect(at.store.update(key, -1_000)).rejects.toThrow(RangeError);

  const spans = telemetry.spans().filter(({ name }) => name.endsWith(' tallies'));
  expect(spans.filter(({ name }) => name === 'update tallies')).toHaveLength(13);
  expect(spans.filter(({ name }) => name === 'read tallies')).toHaveLength(1);
  expect(spans[0]?.attributes).toMatchObject({ 'db.collection.name': 'tallies', 'flow.store.key': 'seen' });
  expect(spans.at(-1)?.attributes['error.type']).toBe('RangeError');

  const [conflicts] = await telemetry.metric('flow.store.conflicts');
  expect(conflicts?.value).toBe(1);
  const [sizes] = await telemetry.metric('flow.store.batch_size');
  expect(sizes?.value).toMatchObject({ count: 3, max: 10 });
  const durations = await telemetry.metric('flow.store.operation.duration');
  expect(durations.map(({ attributes }) => attributes['db.operation.name']).sort()).toEqual(['read', 'update']);
});
