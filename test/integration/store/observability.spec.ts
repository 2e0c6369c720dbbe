import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { recordTelemetry } from '../../support/telemetry.js';
import { until } from '../../support/until.js';
import { needsServer } from '../../support/needs-server.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

it('records a span per operation, and conflicts, batch sizes and latency as metrics', async () => {
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

it('measures how many operations wait, and what is asked for again', async () => {
  await using telemetry = recordTelemetry();
  await using proxy = await CuttingProxy.start(server);
  await using at = await openTallies(proxy.url);
  const { store } = at;
  const value = async (name: string): Promise<number> => {
    const [point] = await telemetry.metric(`flow.store.${name}`);
    return Number(point?.value ?? 0);
  };
  await store.update({ id: 'waiting' }, 1);
  expect(await value('queue_depth')).toBe(0);
  expect(await value('retries')).toBe(0);
  proxy.holdReplies();
  const waiting = [1, 2, 3].map((id) => store.update({ id: `waiting-${id}` }, 1));
  const more = store.update({ id: 'waiting-3' }, 1);
  expect(await value('queue_depth')).toBe(4);
  proxy.deliverReplies();
  await Promise.all([...waiting, more]);
  expect(await value('queue_depth')).toBe(0);
  expect(await value('retries')).toBe(0);
  proxy.rejectNew(true);
  proxy.cut();
  await until(() => at.connection.status === 'disconnected', { what: 'the loss of the connection' });
  const status = store.status();
  const failing = expect(store.update({ id: 'waiting' }, -100)).rejects.toThrow(RangeError);
  await until(async () => (await value('retries')) > 0, { what: 'a second attempt' });
  expect(await value('queue_depth')).toBe(1);
  proxy.restore();
  await status;
  // Also one that throws has left the queue.
  await failing;
  expect(await value('queue_depth')).toBe(0);
});

it('names a few of the keys of a transaction', async (context) => {
  needsServer(context, server, '2.12', 'a transaction');
  await using telemetry = recordTelemetry();
  await using at = await openTallies(server.url, { bucket: 'many', transactions: true });
  const keys = Array.from({ length: 200 }, (_, index) => ({ id: `k${index}` }));
  await at.store.transaction(keys, (drafts) => {
    for (const draft of drafts) draft.count += 1;
  });
  const [span] = telemetry.spans().filter(({ name }) => name === 'transaction many');
  const text = span?.attributes['flow.store.key'] as string;
  expect(text).toContain('"k0", "k1", "k2"');
  expect(text).toMatch(/ and 190 more$/);
});
