import { create, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it, vi } from 'vitest';
import { BarrierStateSchema } from '../../../lib/codec/gen/flow/v1/barrier_pb.js';
import { CancelledError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import type { ArriveOptions, Barrier } from '../../../lib/coordination/barrier/barrier.js';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
let names = 0;

/** A barrier for two behind a proxy, whose operations last for `timeoutMs`; and the same one as another process has it. */
async function openBarriers(timeoutMs = 20_000) {
  const name = `doubt-${++names}`;
  const proxy = await CuttingProxy.start(at.server);
  const log = recordingLog();
  const own = await openRoom(proxy.url, { log, connect: { publishTimeout: timeoutMs } });
  const other = await openRoom(at.url);
  const openStore = own.room.openStore.bind(own.room);
  vi.spyOn(own.room, 'openStore').mockImplementation((reducer, options) =>
    openStore(reducer, { ...options, timeout: timeoutMs }),
  );
  const barrier = own.use(makeBarrier(own.room, { name, parties: 2 }));
  const others = other.use(makeBarrier(other.room, { name, parties: 2 }));
  await Promise.all([others.ready(), own.room.clock()]);
  // What is stored is known after this, and arriving needs no read.
  const first = new AbortController();
  const before = errorOf(barrier.arrive('k', { signal: first.signal }));
  const watches = async (): Promise<number> =>
    (await at.streams.manager.consumers.list(`KV_flow_barrier_${name}`).next()).length;
  await until(async () => (await watches()) === 1, { what: 'the first to wait' });
  first.abort();
  await before;
  await until(async () => (await watches()) === 0, { what: 'the first to wait no more' });
  return {
    barrier,
    others,
    proxy,
    log,
    connection: own.connection,
    /** Somebody waits, and not only for its arrival. */
    untilWatched: () => until(async () => (await watches()) > 0, { what: 'it to wait' }),
    /** Arrives while the server is silent, and gives up when it is counted there. */
    async arriveInSilence(options: ArriveOptions, meanwhile: () => Promise<unknown>) {
      const controller = new AbortController();
      proxy.dropRepliesAfter(0);
      const gone = errorOf(barrier.arrive('k', { ...options, signal: controller.signal }));
      await untilCounted(others, 1);
      await meanwhile();
      controller.abort();
      expect(await gone).toBeInstanceOf(CancelledError);
    },
    /** Replaces the entry as a client does that is not the library's: what became of older writes cannot be known then. */
    replace: (generation: number, arrived: string[]) =>
      at.streams.publish(
        `$KV.flow_barrier_${name}.k`,
        toBinary(BarrierStateSchema, create(BarrierStateSchema, { generation, arrived })),
      ),
    /** The same state, by somebody else. */
    async replaceAlike() {
      const subject = `$KV.flow_barrier_${name}.k`;
      const entry = await at.streams.manager.streams.getMessage(`KV_flow_barrier_${name}`, { last_by_subj: subject });
      await at.streams.publish(subject, entry?.data);
    },
    lastRevision: async () => (await at.streams.manager.streams.info(`KV_flow_barrier_${name}`)).state.last_seq,
    async [Symbol.asyncDispose]() {
      proxy.restore();
      await own[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function untilCounted(barrier: Barrier, count: number): Promise<void> {
  await until(async () => (await barrier.waiting('k')) === count, { what: `${count} to be counted` });
}

function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('whoever gives up at a barrier while its arrival is in doubt', () => {
  it.each([{}, { party: 'me' }])('is not counted, though what became of it cannot be known: %o', async (options) => {
    await using here = await openBarriers();
    await here.arriveInSilence(options, () => here.replaceAlike());
    here.proxy.restore();
    await untilCounted(here.others, 0);
  });

  it('is not counted in the end, however many attempts the server leaves unanswered', async () => {
    await using here = await openBarriers(200);
    await here.arriveInSilence({}, () => Promise.resolve());
    // By then it was given up after five times as long as an attempt takes.
    expect(here.log.messages('warn')).toEqual([expect.stringContaining('may be counted still')]);
    expect(await here.others.waiting('k')).toBe(1);
    here.proxy.restore();
    await untilCounted(here.others, 0);
    expect(here.log.messages('warn')).toHaveLength(1);
  });

  it('stays counted when the barrier is closed before the server answers, which is said once', async () => {
    await using here = await openBarriers(200);
    await here.arriveInSilence({ party: 'me' }, () => Promise.resolve());
    await here.barrier.close();
    expect(here.log.messages('warn')).toEqual([
      expect.stringContaining('key "k": party "me" may be counted still'),
      expect.stringContaining('key "k": party "me" stays counted'),
    ]);
  });

  it('is counted when the same party comes back before the server answers', async () => {
    await using here = await openBarriers(500);
    await here.arriveInSilence({ party: 'me' }, () => Promise.resolve());
    const back = here.barrier.arrive('k', { party: 'me' });
    here.proxy.restore();
    await here.untilWatched();
    expect(await Promise.all([back, here.others.arrive('k')])).toEqual([1, 1]);
  });

  it('stays counted where the same party has come since the barrier opened', async () => {
    await using here = await openBarriers();
    await here.arriveInSilence({ party: 'me' }, () => here.replace(1, ['me']));
    here.proxy.restore();
    // Resolves when it has gone away.
    await here.barrier.close();
    expect(await here.others.waiting('k')).toBe(1);
  });

  it('leaves nothing on its way that would count it later', async () => {
    await using here = await openBarriers();
    await here.arriveInSilence({}, () => here.replace(0, ['somebody']));
    const replaced = await here.lastRevision();
    here.proxy.restore();
    await here.barrier.close();
    // The arrival was for a revision that there is no more; had it not come so far, it would be now.
    expect(await here.lastRevision()).toBeGreaterThan(replaced);
    expect(await here.others.waiting('k')).toBe(1);
  });
});

describe('whoever is told that its arrival at a barrier may count', () => {
  it('is not counted in the end, as somebody new', async () => {
    await using here = await openBarriers(300);
    here.proxy.dropRepliesAfter(0);
    const error = errorOf(here.barrier.arrive('k'));
    await untilCounted(here.others, 1);
    expect(await error).toBeInstanceOf(OutcomeUnknownError);
    here.proxy.restore();
    await untilCounted(here.others, 0);
  });

  it('is counted once when it arrives again as the same party', async () => {
    await using here = await openBarriers(300);
    here.proxy.dropRepliesAfter(0);
    const error = errorOf(here.barrier.arrive('k', { party: 'me' }));
    await untilCounted(here.others, 1);
    expect(await error).toBeInstanceOf(OutcomeUnknownError);
    here.proxy.restore();
    await until(() => here.connection.status === 'connected', { what: 'the connection to be back' });
    const again = here.barrier.arrive('k', { party: 'me' });
    await here.untilWatched();
    expect(await here.others.waiting('k')).toBe(1);
    expect(await Promise.all([again, here.others.arrive('k')])).toEqual([1, 1]);
  });
});
