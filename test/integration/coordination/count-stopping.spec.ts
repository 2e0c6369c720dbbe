import { describe, expect, it } from 'vitest';
import { ConnectionError } from '../../../lib/common/errors.js';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import { makeCounter } from '../../../lib/coordination/counter/make-counter.js';
import { makeLatch } from '../../../lib/coordination/latch/make-latch.js';
import { makeRateLimiter } from '../../../lib/coordination/rate-limiter/make-rate-limiter.js';
import { makeWaitGroup } from '../../../lib/coordination/wait-group/make-wait-group.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();

describe('once the application stops', () => {
  it('nobody waits for a count, and what is there can be had', async () => {
    await using one = await openRoom(at.url);
    const group = one.use(makeWaitGroup(one.room, { name: 'stop' }));
    const latch = one.use(makeLatch(one.room, { name: 'stop' }));
    const barrier = one.use(makeBarrier(one.room, { name: 'stop', parties: 2 }));
    await group.add('busy');
    await latch.set('busy', 1);
    await latch.set('open', 0);
    const waiting = [group.wait('busy'), latch.wait('busy'), barrier.arrive('busy')];
    const rejected = Promise.all(waiting.map((wait) => expect(wait).rejects.toThrow('the application stops')));

    one.room.stopWaiting();

    await rejected;
    await expect(group.wait('busy')).rejects.toThrow(ConnectionError);
    await expect(latch.wait('busy')).rejects.toThrow('the application stops');
    await group.wait('none');
    await latch.wait('open');
    // Who was told stays counted, as after a crash.
    expect(await barrier.waiting('busy')).toBe(1);
    expect(await barrier.arrive('busy')).toBe(1);
    expect(await group.done('busy')).toBe(0);
  });

  it('nobody waits for a bucket that a silent server does not tell of', async () => {
    await using proxy = await CuttingProxy.start(at.server);
    await using one = await openRoom(proxy.url, { connect: { requestTimeout: '1h' } });
    const group = one.use(makeWaitGroup(one.room, { name: 'unopened' }));
    const latch = one.use(makeLatch(one.room, { name: 'unopened' }));
    proxy.holdReplies();
    const waiting = [group.wait('k'), latch.wait('k')];
    const rejected = Promise.all(waiting.map((wait) => expect(wait).rejects.toThrow('the application stops')));
    one.room.stopWaiting();
    await rejected;
    proxy.deliverReplies();
  });

  it.each(['exact', 'leased'] as const)(
    'nobody waits for units, and those that are there can be had: %s',
    async (mode) => {
      await using one = await openRoom(at.url);
      const limiter = one.use(
        makeRateLimiter(one.room, { name: `stop-${mode}`, limit: 4, window: '1h', precision: mode, burst: 4 }),
      );
      await limiter.ready();
      for (let used = 0; used < limiter.capacity; used++) await limiter.consume('used');
      const waiting = Array.from({ length: 3 }, () => limiter.waitFor('used'));
      const rejected = Promise.all(waiting.map((wait) => expect(wait).rejects.toThrow(ConnectionError)));

      one.room.stopWaiting();

      await rejected;
      await expect(limiter.waitFor('used')).rejects.toThrow('the application stops');
      expect((await limiter.waitFor('free')).allowed).toBe(true);
      // A decision is not a wait.
      expect((await limiter.consume('used')).allowed).toBe(false);
    },
  );
});

it('what is asked for before a bucket is there is not done any more once everything is closed', async () => {
  await using proxy = await CuttingProxy.start(at.server);
  await using one = await openRoom(proxy.url);
  await using other = await openRoom(at.url);
  const counter = one.use(makeCounter(one.room, { name: 'closed' }));
  proxy.holdReplies();
  const adding = expect(counter.add('k')).rejects.toThrow(ConnectionError);
  const closing = one.room.close();
  proxy.deliverReplies();
  await Promise.all([adding, closing]);
  expect(await other.use(makeCounter(other.room, { name: 'closed' })).value('k')).toBe(0);
});
