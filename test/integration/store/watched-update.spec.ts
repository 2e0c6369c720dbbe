import { afterAll, beforeAll, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { recordTelemetry } from '../../support/telemetry.js';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

it('goes by what a watch told of the key, and does not lose against it', async () => {
  await using telemetry = recordTelemetry();
  await using own = await openTallies(server.url);
  await using other = await openTallies(server.url);
  const key = { id: 'watched' };
  await own.store.update(key, 1, { idempotencyKey: 'first' });
  const watch = own.store.watch(key);
  await watch.next();
  await other.store.update(key, 1, { idempotencyKey: 'second' });
  await other.store.update(key, 1);
  for (let seen = 0; seen < 3;) {
    const { value } = await watch.next();
    if (value?.type === 'value') seen = value.state.count;
  }
  expect((await own.store.update(key, 1, { maxAttempts: 1 })).count).toBe(4);
  // What others have applied is known too.
  expect((await own.store.update(key, 1, { idempotencyKey: 'second' })).count).toBe(4);
  await watch.return();
  expect(await telemetry.metric('flow.store.conflicts')).toEqual([]);
});
