import { expect, it } from 'vitest';
import { ConnectionError } from '../../../lib/common/errors.js';
import { LockTimeoutError } from '../../../lib/common/lock-errors.js';
import { makeElection } from '../../../lib/coordination/election/make-election.js';
import { makeMutex } from '../../../lib/coordination/mutex/make-mutex.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

it('lets nobody wait once the application stops; what is free can be had, and what is held stays held', async () => {
  await using one = await openRoom(at.url);
  await using other = await openRoom(at.url);
  const mutex = one.use(makeMutex(one.room, { name: 'stop', ttl: '1s' }));
  const others = other.use(makeMutex(other.room, { name: 'stop' }));
  const lease = await mutex.acquire('held');
  const waiting = Array.from({ length: 3 }, () => mutex.acquire('held'));
  const rejected = Promise.all(waiting.map((one) => expect(one).rejects.toThrow(ConnectionError)));

  one.room.stopWaiting();

  await rejected;
  await expect(mutex.acquire('held')).rejects.toThrow('the application stops');
  await expect(mutex.acquire('held', { wait: 0 })).rejects.toThrow(LockTimeoutError);
  expect(await mutex.runExclusive('free', () => 'done')).toBe('done');
  // Nothing is left of those who waited: whoever comes is next.
  await lease.release();
  await using next = await others.acquire('held');
  expect(next.fencingToken).toBeGreaterThan(lease.fencingToken);
});

it('has who leads lead on when the application stops, and nobody else stand', async () => {
  await using one = await openRoom(at.url);
  await using other = await openRoom(at.url);
  const leading = one.use(makeElection(one.room, { name: 'stop' }));
  const standing = other.use(makeElection(other.room, { name: 'stop' }));
  leading.stand();
  await until(() => leading.isLeader, { what: 'to lead' });
  standing.stand();
  const ends: string[] = [];
  leading.observe().subscribe({ complete: () => ends.push('leading') });
  standing.observe().subscribe({ complete: () => ends.push('standing') });

  other.room.stopWaiting();
  one.room.stopWaiting();

  await until(() => ends.length > 0, { what: 'the campaign to end' });
  expect(ends).toEqual(['standing']);
  expect(leading.isLeader).toBe(true);
  leading.resign();
  await until(() => ends.length > 1, { what: 'the last term to end' });
  expect(leading.isLeader).toBe(false);
});
