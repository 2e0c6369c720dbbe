import { expect, it } from 'vitest';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordTelemetry } from '../../support/telemetry.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

it('records waits and holds as spans and metrics, and counts lost leases', async () => {
  await using telemetry = recordTelemetry();
  await using own = await openRoom(at.url);
  const mutex = own.use(makeMutex(own.room, { name: 'seen', maxHold: '20ms', onMaxHold: 'end' }));
  await Promise.all(Array.from({ length: 3 }, () => mutex.runExclusive('k', () => 'done')));
  const slow = mutex.runExclusive(
    'k',
    ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
  );
  await expect(slow).rejects.toThrow('held for more than 20 ms');

  const spans = telemetry.spans();
  expect(spans.filter(({ name }) => name === 'acquire Mutex seen')).toHaveLength(4);
  const holds = spans.filter(({ name }) => name === 'hold Mutex seen');
  expect(holds).toHaveLength(4);
  expect(holds[0]?.attributes).toMatchObject({ 'flow.lock.key': 'k', 'flow.lock.name': 'seen' });
  expect(holds[0]?.attributes['flow.lock.fencing_token']).toBeGreaterThan(0);
  const [waits] = await telemetry.metric('flow.lock.wait');
  expect(waits).toMatchObject({ value: { count: 4 }, attributes: { 'flow.lock.kind': 'Mutex' } });
  const [held] = await telemetry.metric('flow.lock.hold');
  expect(held?.value).toMatchObject({ count: 4 });
  const [lost] = await telemetry.metric('flow.lock.lost');
  expect(lost?.value).toBe(1);
});
