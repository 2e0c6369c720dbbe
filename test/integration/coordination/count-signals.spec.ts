import { describe, expect, it } from 'vitest';
import { CancelledError, ConnectionError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import { makeCounter } from '../../../lib/coordination/counter/make-counter.js';
import type { CoordinationRoom } from '../../../lib/coordination/coordination-room.js';
import { makeIdGenerator } from '../../../lib/coordination/id-generator/make-id-generator.js';
import { makeLatch } from '../../../lib/coordination/latch/make-latch.js';
import { makeReadWriteLock } from '../../../lib/coordination/read-write-lock/make-read-write-lock.js';
import { makeSemaphore } from '../../../lib/coordination/semaphore/make-semaphore.js';
import { makeWaitGroup } from '../../../lib/coordination/wait-group/make-wait-group.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

/** A primitive's call that asks the server. */
interface Call {
  ready(): Promise<void>;
  close(): Promise<void>;
  run(signal: AbortSignal): Promise<unknown>;
}

function call<T extends Omit<Call, 'run'>>(
  make: (room: CoordinationRoom) => T,
  run: (primitive: T, signal: AbortSignal) => Promise<unknown>,
): (room: CoordinationRoom) => Call {
  return (room) => {
    const primitive = make(room);
    return { ready: () => primitive.ready(), close: () => primitive.close(), run: (signal) => run(primitive, signal) };
  };
}

const counter = (room: CoordinationRoom) => makeCounter(room, { name: 'signal' });
const group = (room: CoordinationRoom) => makeWaitGroup(room, { name: 'signal' });
const latch = (room: CoordinationRoom) => makeLatch(room, { name: 'signal' });
const barrier = (room: CoordinationRoom) => makeBarrier(room, { name: 'signal', parties: 2 });
const ids = (room: CoordinationRoom) => makeIdGenerator(room, { name: 'signal' });
const semaphore = (room: CoordinationRoom) => makeSemaphore(room, { name: 'signal', permits: 1 });
const files = (room: CoordinationRoom) => makeReadWriteLock(room, { name: 'signal' });

const CALLS = {
  'Counter.add': call(counter, (it, signal) => it.add('k', 1, { signal })),
  'Counter.value': call(counter, (it, signal) => it.value('k', { signal })),
  'Counter.exactValue': call(counter, (it, signal) => it.exactValue('k', { signal })),
  'WaitGroup.add': call(group, (it, signal) => it.add('k', 1, { signal })),
  'WaitGroup.count': call(group, (it, signal) => it.count('k', { signal })),
  'WaitGroup.wait': call(group, (it, signal) => it.wait('k', { signal })),
  'CountDownLatch.set': call(latch, (it, signal) => it.set('k', 1, { signal })),
  'CountDownLatch.countDown': call(latch, (it, signal) => it.countDown('k', 1, { signal })),
  'CountDownLatch.count': call(latch, (it, signal) => it.count('k', { signal })),
  'CountDownLatch.wait': call(latch, (it, signal) => it.wait('k', { signal })),
  'Barrier.arrive': call(barrier, (it, signal) => it.arrive('k', { signal })),
  'Barrier.waiting': call(barrier, (it, signal) => it.waiting('k', { signal })),
  'IdGenerator.next': call(ids, (it, signal) => it.next('k', { signal })),
  'Semaphore.acquire': call(semaphore, (it, signal) => it.acquire('k', { signal })),
  'Semaphore.tryAcquire': call(semaphore, (it, signal) => it.tryAcquire('k', { signal })),
  'Semaphore.run': call(semaphore, (it, signal) => it.run('k', () => 'never', { signal })),
  'ReadWriteLock.acquireShared': call(files, (it, signal) => it.acquireShared('k', { signal })),
  'ReadWriteLock.acquireExclusive': call(files, (it, signal) => it.acquireExclusive('k', { signal })),
  'ReadWriteLock.runShared': call(files, (it, signal) => it.runShared('k', () => 'never', { signal })),
  'ReadWriteLock.runExclusive': call(files, (it, signal) => it.runExclusive('k', () => 'never', { signal })),
};

describe.each(Object.entries(CALLS))('%s', (_name, make) => {
  it('does nothing when its signal has aborted', async () => {
    await using own = await openRoom(at.url);
    const one = own.use(make(own.room));
    await one.ready();
    await expect(one.run(AbortSignal.abort('early'))).rejects.toThrow(CancelledError);
    await expect(one.run(AbortSignal.abort('early'))).rejects.toMatchObject({ cause: 'early' });
  });

  it.each(['', ' at its first use'])('gives up when its signal aborts while the server says nothing%s', async (use) => {
    await using proxy = await CuttingProxy.start(at.server);
    await using own = await openRoom(proxy.url);
    const one = own.use(make(own.room));
    if (use === '') await one.ready();
    proxy.dropRepliesAfter(0);
    const controller = new AbortController();
    const error = one.run(controller.signal).catch((thrown: unknown) => thrown);
    // It is on its way by then.
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort('late');
    expect(await error).toSatisfy(
      (thrown) => thrown instanceof CancelledError || thrown instanceof OutcomeUnknownError,
    );
    expect(await error).toHaveProperty('cause', 'late');
    proxy.restore();
  });
});

describe('whoever waits', () => {
  it.each([
    ['unheard', 'its signal aborts', (_room: CoordinationRoom, abort: () => void) => abort(), CancelledError],
    ['stopped', 'the application stops', (room: CoordinationRoom) => room.stopWaiting(), ConnectionError],
  ] as const)('for a count, %s, is told that %s, though the server is silent', async (name, _what, end, error) => {
    await using proxy = await CuttingProxy.start(at.server);
    await using own = await openRoom(proxy.url);
    const one = own.use(makeWaitGroup(own.room, { name }));
    await one.add('k');
    const controller = new AbortController();
    const { signal } = controller;
    const watching = one.wait('k', { signal });
    await until(async () => (await at.streams.manager.consumers.list(`KV_flow_waitgroup_${name}`).next()).length > 0, {
      what: 'the watch',
    });
    proxy.dropRepliesAfter(0);
    const reading = one.wait('k', { signal });
    const gone = Promise.all([watching, reading].map((wait) => expect(wait).rejects.toThrow(error)));
    // It is on its way by then.
    await new Promise((resolve) => setImmediate(resolve));
    end(own.room, () => controller.abort());
    // Neither the read nor the watch comes to an end before the server answers.
    await gone;
    proxy.restore();
  });

  it('for a permit or a lock leaves the line when its signal aborts, and holds nobody up', async () => {
    await using own = await openRoom(at.url);
    await using other = await openRoom(at.url);
    const permits = own.use(makeSemaphore(own.room, { name: 'line', permits: 1 }));
    const locks = own.use(makeReadWriteLock(own.room, { name: 'line' }));
    const held = [await permits.acquire('k'), await locks.acquireExclusive('k')];
    const controller = new AbortController();
    const { signal } = controller;
    const waits = [permits.acquire('k', { signal }), locks.acquireShared('k', { signal })];
    const writer = locks.acquireExclusive('k', { signal });
    const gone = Promise.all([...waits, writer].map((wait) => expect(wait).rejects.toThrow(CancelledError)));
    const others = [
      other.use(makeSemaphore(other.room, { name: 'line', permits: 1 })).acquire('k'),
      other.use(makeReadWriteLock(other.room, { name: 'line' })).acquireShared('k'),
    ];
    controller.abort();
    await gone;
    for (const lease of held) await lease.release();
    for (const lease of await Promise.all(others)) await lease.release();
  });

  it('for an id does not take the block of those who ask with it along', async () => {
    await using own = await openRoom(at.url);
    const generator = own.use(makeIdGenerator(own.room, { name: 'shared', block: 10 }));
    await generator.ready();
    const controller = new AbortController();
    const gone = expect(generator.next('k', { signal: controller.signal })).rejects.toThrow(CancelledError);
    const staying = generator.next('k');
    controller.abort();
    await gone;
    expect(await staying).toBe(1);
  });

  it('at a barrier is not counted when it gives up while it arrives, once the server has said so', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using own = await openRoom(proxy.url);
    await using other = await openRoom(at.url);
    const options = { name: 'arriving', parties: 2 };
    const barrier = own.use(makeBarrier(own.room, options));
    const others = other.use(makeBarrier(other.room, options));
    // What is stored is known after this, and arriving needs no read.
    const first = new AbortController();
    const before = expect(barrier.arrive('k', { signal: first.signal })).rejects.toThrow(CancelledError);
    await until(async () => (await others.waiting('k')) === 1, { what: 'the first to arrive' });
    first.abort();
    await before;
    const controller = new AbortController();
    proxy.holdReplies();
    const gone = expect(barrier.arrive('k', { signal: controller.signal })).rejects.toThrow(CancelledError);
    await until(async () => (await others.waiting('k')) === 1, { what: 'the arrival to be stored' });
    controller.abort();
    proxy.deliverReplies();
    await gone;
    expect(await others.waiting('k')).toBe(0);
  });

  it('at a barrier hears of its own giving up, though the server cannot be told, which the log says', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    const log = recordingLog();
    await using own = await openRoom(proxy.url, { log });
    await using other = await openRoom(at.url);
    const options = { name: 'silent', parties: 2 };
    const barrier = own.use(makeBarrier(own.room, options));
    const others = other.use(makeBarrier(other.room, options));
    const controller = new AbortController();
    const gone = barrier.arrive('k', { party: 'me', signal: controller.signal }).catch((thrown: unknown) => thrown);
    await until(async () => (await others.waiting('k')) === 1, { what: 'the arrival' });
    await until(async () => (await at.streams.manager.consumers.list('KV_flow_barrier_silent').next()).length > 0, {
      what: 'the watch',
    });
    proxy.dropRepliesAfter(0);
    controller.abort('enough');
    const error = await gone;
    expect(error).toBeInstanceOf(CancelledError);
    expect(error).toHaveProperty('cause', 'enough');
    expect(log.messages('warn')).toEqual([
      expect.stringContaining('Barrier "silent", key "k": party "me" may be counted still'),
    ]);
    // It is seen through all the same.
    proxy.restore();
    await until(async () => (await others.waiting('k')) === 0, { what: 'it to be told later' });
  });
});
