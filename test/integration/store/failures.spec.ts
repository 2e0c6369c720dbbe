import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import {
  CancelledError,
  ConnectionError,
  OperationTimeoutError,
  OutcomeUnknownError,
  OverloadedError,
} from '../../../lib/common/errors.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { connectForTest } from '../../support/connect-for-test.js';
import { until } from '../../support/until.js';
import { Kvm } from '@nats-io/kv';
import { openTallies } from './store-fixture.js';

let server: EmbeddedNatsServer;
beforeAll(async () => {
  server = await EmbeddedNatsServer.start();
});
afterAll(() => server.stop());

describe('a cancelled update', () => {
  it('is not applied when it still waited, and leaves the others alone', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'cancelled' };
    const controller = new AbortController();
    const first = at.store.update(key, 1);
    const waiting = at.store.update(key, 100, { signal: controller.signal });
    const last = at.store.update(key, 1);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow(CancelledError);
    await expect(waiting).rejects.toMatchObject({ cause: { message: 'enough' } });
    expect([(await first).count, (await last).count]).toEqual([1, 2]);
    await expect(at.store.update(key, 1, { signal: controller.signal })).rejects.toThrow(CancelledError);
    expect((await at.store.read(key))?.count).toBe(2);
  });

  it('is not applied when it waited behind a write on its way', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await using other = await openTallies(server.url);
    const key = { id: 'behind' };
    await at.store.update(key, 1);
    proxy.holdReplies();
    const first = at.store.update(key, 1);
    await until(async () => (await other.store.read(key))?.count === 2, { what: 'the write to be on its way' });
    const controller = new AbortController();
    const waiting = at.store.update(key, 100, { signal: controller.signal });
    const last = at.store.update(key, 1);
    controller.abort();
    await expect(waiting).rejects.toThrow('update of "behind" in bucket "tallies" was cancelled.');
    proxy.deliverReplies();
    expect([(await first).count, (await last).count]).toEqual([2, 3]);
    expect((await other.store.read(key))?.count).toBe(3);
  });

  it('is not applied when it was sent with others in a write that is refused', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await using other = await openTallies(server.url);
    const key = { id: 'conflicting' };
    await at.store.update(key, 1);
    await other.store.update(key, 10);
    proxy.holdReplies();
    const controller = new AbortController();
    const ran: number[] = [];
    const add = (amount: number) => (draft: { count: number }) => {
      ran.push(amount);
      draft.count += amount;
    };
    const batch = [1, 100, 1].map((amount) =>
      at.store.modify(key, add(amount), amount === 100 ? { signal: controller.signal } : {}),
    );
    // Sent on what is remembered, where another has written meanwhile: the refusal is on its way.
    await until(() => ran.length === 3, { what: 'the batch to be sent' });
    controller.abort();
    await expect(batch[1]).rejects.toThrow('already sent and perhaps applied, was cancelled');
    proxy.deliverReplies();
    expect([(await batch[0])!.count, (await batch[2])!.count]).toEqual([12, 13]);
    expect(ran).toEqual([1, 100, 1, 1, 1]);
    expect((await other.store.read(key))?.count).toBe(13);
  });

  it('is given up at once while the server is away, and says that it may be applied', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    const key = { id: 'away' };
    await at.store.update(key, 1);
    proxy.rejectNew(true);
    proxy.dropRepliesAfter(0);
    const controller = new AbortController();
    const update = at.store.update(key, 1, { signal: controller.signal });
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open('tallies');
    await until(async () => (await kv.get('away'))?.json<{ count: number }>().count === 2, { what: 'the write' });
    controller.abort();
    await expect(update).rejects.toThrow('already sent and perhaps applied, was cancelled');
    proxy.cut();
    proxy.restore();
    expect((await at.store.update(key, 1)).count).toBe(3);
  });
});

describe('a signal that many operations share', () => {
  it('cancels them all, and is not taken for a leak', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await at.store.update({ id: 'shared' }, 1);
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    proxy.dropRepliesAfter(0);
    const abort = new AbortController();
    const { signal } = abort;
    const operations = Array.from({ length: 500 }, (_, index) => [
      at.store.update({ id: `shared-${index}` }, 1, { signal }),
      at.store.read({ id: 'shared' }, { signal }),
    ]);
    abort.abort();
    const outcomes = await Promise.allSettled(operations.flat());
    // Warnings are told in a tick of their own.
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    proxy.restore();
    const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as unknown) : outcome));
    expect(reasons.filter((reason) => !(reason instanceof CancelledError))).toEqual([]);
    expect(warnings).toEqual([]);
  });
});

describe('a cancelled read', () => {
  it('is given up at once while the server is away', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await at.store.update({ id: 'read' }, 1);
    proxy.dropRepliesAfter(0);
    const read = at.store.read({ id: 'read' }, { signal: AbortSignal.timeout(50) });
    await expect(read).rejects.toThrow(CancelledError);
    proxy.restore();
    expect((await at.store.read({ id: 'read' }))?.count).toBe(1);
  });
});

describe('a cancelled history', () => {
  it('is an error, since a part of it would look like the whole', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    const key = { id: 'history' };
    await at.store.update(key, 1);
    await expect(at.store.history(key, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toMatchObject({
      code: 'CANCELLED',
      cause: { message: 'enough' },
    });
    proxy.dropRepliesAfter(0);
    await expect(at.store.history(key, { signal: AbortSignal.timeout(50) })).rejects.toThrow(CancelledError);
    proxy.restore();
    expect(await at.store.history(key)).toHaveLength(1);
  });
});

describe('an update whose reply is lost', () => {
  it('is applied once: the entry tells', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await using other = await openTallies(server.url);
    for (let round = 1; round <= 5; round++) {
      const key = { id: `lost-${round}` };
      await at.store.update(key, 1);
      proxy.dropRepliesAfter(0);
      const update = at.store.update(key, 1);
      await until(async () => (await other.store.read(key))?.count === 2, { what: 'the write without a reply' });
      // With others on top of it, more than the entry keeps revisions of.
      for (let more = 0; more < round; more++) await other.store.update(key, 10);
      proxy.restore();
      expect((await update).count).toBe(2);
      expect((await at.store.read(key))?.count).toBe(2 + 10 * round);
      expect((await at.store.update(key, 1)).count).toBe(3 + 10 * round);
    }
  });

  it('is repeated when it did not arrive', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    const key = { id: 'not-arrived' };
    await at.store.update(key, 1);
    proxy.rejectNew(true);
    proxy.cut();
    const update = at.store.update(key, 1);
    proxy.rejectNew(false);
    expect((await update).count).toBe(2);
  });

  it('says so when the entry was replaced by a client that keeps no marks', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url);
    await using plain = await connectForTest(server);
    const kv = await new Kvm(plain).open('tallies');
    const key = { id: 'replaced' };
    await at.store.update(key, 1);
    proxy.dropRepliesAfter(0);
    const update = at.store.update(key, 1);
    await until(async () => (await kv.get('replaced'))?.json<{ count: number }>().count === 2, { what: 'the write' });
    await kv.put('replaced', '{"count":50,"by":[]}');
    proxy.restore();
    await expect(update).rejects.toThrow(OutcomeUnknownError);
    expect((await at.store.update(key, 1)).count).toBe(51);
  });
});

describe('the queue', () => {
  it('is bounded', async () => {
    await using at = await openTallies(server.url, { maxQueued: 3 });
    const key = { id: 'bounded' };
    const settled = await Promise.allSettled([1, 2, 3, 4].map(() => at.store.update(key, 1)));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    expect((settled[3] as PromiseRejectedResult).reason).toBeInstanceOf(OverloadedError);
    expect((await at.store.update(key, 1)).count).toBe(4);
  });

  it('gives an operation up when its time is over', async () => {
    await using proxy = await CuttingProxy.start(server);
    await using at = await openTallies(proxy.url, { timeout: '300ms' });
    const key = { id: 'late' };
    await at.store.update(key, 1);
    proxy.rejectNew(true);
    proxy.cut();
    const sent = at.store.update(key, 1);
    // What is asked for in the same tick would be sent together with it.
    await new Promise((resolve) => setImmediate(resolve));
    const queued = at.store.update(key, 1);
    await Promise.all([
      expect(sent).rejects.toThrow(OutcomeUnknownError),
      expect(queued).rejects.toThrow(OperationTimeoutError),
    ]);
    proxy.rejectNew(false);
    await until(async () => (await at.store.update(key, 1)).count, { what: 'the store to go on' });
  });

  it('is finished before the store closes, and takes nothing afterwards', async () => {
    await using at = await openTallies(server.url);
    const key = { id: 'closing' };
    const updates = Array.from({ length: 50 }, () => at.store.update(key, 1));
    const watch = at.store.watch();
    expect((await watch.next()).done).toBe(false);
    await at.store.close();
    expect((await Promise.all(updates)).length).toBe(50);
    await expect(at.store.update(key, 1)).rejects.toThrow(ConnectionError);
    expect((await watch.next()).done).toBe(true);
    await expect(at.store.watch().next()).rejects.toThrow(ConnectionError);
  });
});

describe('a server that is killed', () => {
  it('in the middle of 5,000 updates leaves every one applied exactly once', { timeout: 120_000 }, async () => {
    await using own = await EmbeddedNatsServer.start();
    await using at = await openTallies(own.url, { timeout: '60s' });
    const keys = Array.from({ length: 20 }, (_, index) => ({ id: `k${index}` }));
    let done = 0;
    const updates = async (worker: number): Promise<void> => {
      for (let index = worker; index < 5_000; index += 50) {
        const key = keys[index % keys.length]!;
        // Two out of three with a key, and some of those twice, as a step that runs again after a crash.
        const options = index % 3 === 0 ? {} : { idempotencyKey: `run-${index}` };
        await at.store.update(key, 1, options);
        if (index % 7 === 0 && index % 3 !== 0) await at.store.update(key, 1, options);
        done += 1;
      }
    };
    const all = Promise.all(Array.from({ length: 50 }, (_, worker) => updates(worker)));
    for (const mark of [1_000, 2_500, 4_000]) {
      await until(() => done >= mark, { what: `${mark} updates`, timeoutMs: 60_000 });
      await own.kill();
      await own.restart();
    }
    await all;
    const states = await at.store.readMany(keys);
    expect(states.map((state) => state?.count)).toEqual(keys.map(() => 250));
  });
});
