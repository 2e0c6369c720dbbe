import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../../../lib/common/errors.js';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import { makeLatch } from '../../../lib/coordination/latch/make-latch.js';
import { makeWaitGroup } from '../../../lib/coordination/wait-group/make-wait-group.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
const messages = async (bucket: string) => (await at.streams.manager.streams.info(`KV_${bucket}`)).state.messages;

describe('a key that nobody changes for its ttl', () => {
  it('lets those go who wait for a wait group, and not before', async () => {
    await using own = await openRoom(at.url);
    const group = own.use(makeWaitGroup(own.room, { name: 'idle', ttl: '1s' }));
    await group.add('job', 3);
    const waiting = group.wait('job').then(() => group.count('job'));
    // A change postpones it: the first look finds an entry that has time left.
    await until(async () => (await at.streams.manager.consumers.list('KV_flow_waitgroup_idle').next()).length > 0, {
      what: 'the watch',
    });
    expect(await group.done('job')).toBe(2);
    expect(await waiting).toBe(0);
    expect(await messages('flow_waitgroup_idle')).toBe(0);
  });

  it('lets those go who come late to a wait group', async () => {
    await using own = await openRoom(at.url);
    const group = own.use(makeWaitGroup(own.room, { name: 'late', ttl: '1s' }));
    await Promise.all([group.ready(), group.add('job')]);
    await Promise.all(Array.from({ length: 3 }, () => group.wait('job')));
    expect(await group.count('job')).toBe(0);
  });

  it('leaves those who wait for a latch there, for it to be set again', async () => {
    await using own = await openRoom(at.url);
    const latch = own.use(makeLatch(own.room, { name: 'idle', ttl: '1s' }));
    await latch.set('job', 2);
    let open = false;
    const waiting = latch.wait('job').then(() => (open = true));
    await until(async () => (await messages('flow_latch_idle')) === 0, { what: 'the key to expire' });
    expect(await latch.set('job', 1)).toBe(true);
    expect(open).toBe(false);
    expect(await latch.countDown('job')).toBe(0);
    await waiting;
  });

  it('tells those who wait at a barrier that they are not counted any more', async () => {
    await using own = await openRoom(at.url);
    const barrier = own.use(makeBarrier(own.room, { name: 'idle', parties: 2, ttl: '1s' }));
    const opened = [barrier.arrive('phase'), barrier.arrive('phase')];
    expect(await Promise.all(opened)).toEqual([1, 1]);
    await expect(barrier.arrive('phase')).rejects.toThrow(NotFoundError);
    expect(await barrier.waiting('phase')).toBe(0);
  });

  it('lets nobody go at a barrier with those who begin anew', async () => {
    await using own = await openRoom(at.url);
    const barrier = own.use(makeBarrier(own.room, { name: 'anew', parties: 2, ttl: '1s' }));
    const forgotten = expect(barrier.arrive('phase')).rejects.toThrow('is not counted any more');
    await until(async () => (await barrier.waiting('phase')) === 1, { what: 'the first to arrive' });
    await until(async () => (await barrier.waiting('phase')) === 0, { what: 'the key to expire' });
    const anew = barrier.arrive('phase');
    await forgotten;
    expect(await barrier.arrive('phase')).toBe(1);
    expect(await anew).toBe(1);
  });

  it('lets nobody go at a barrier with those who begin anew and open it, before it is seen to be forgotten', async () => {
    await using own = await openRoom(at.url);
    await using other = await openRoom(at.url);
    const barrier = own.use(makeBarrier(own.room, { name: 'unseen', parties: 2 }));
    const others = other.use(makeBarrier(other.room, { name: 'unseen', parties: 2 }));
    const forgotten = expect(barrier.arrive('phase')).rejects.toThrow('is not counted any more');
    const { manager } = at.streams;
    await until(async () => (await manager.consumers.list('KV_flow_barrier_unseen').next()).length > 0, {
      what: 'the watch',
    });
    // As the bucket's age does it: no watch is told.
    const { state } = await manager.streams.info('KV_flow_barrier_unseen');
    await manager.streams.deleteMessage('KV_flow_barrier_unseen', state.last_seq);
    expect(await Promise.all([others.arrive('phase'), others.arrive('phase')])).toEqual([1, 1]);
    await forgotten;
  });
});
