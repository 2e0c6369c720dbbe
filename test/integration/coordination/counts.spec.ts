import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { CountError } from '../../../lib/common/count.error.js';
import { CancelledError } from '../../../lib/common/errors.js';
import { makeBarrier } from '../../../lib/coordination/barrier/make-barrier.js';
import { makeCounter } from '../../../lib/coordination/counter/make-counter.js';
import { makeIdGenerator } from '../../../lib/coordination/id-generator/make-id-generator.js';
import { makeLatch } from '../../../lib/coordination/latch/make-latch.js';
import { makeWaitGroup } from '../../../lib/coordination/wait-group/make-wait-group.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
const run = promisify(execFile);
const PROCESS = fileURLToPath(new URL('./support/counting-process.ts', import.meta.url));

describe('a counter', () => {
  it('counts exactly over 4 processes, and ids come once', { timeout: 60_000 }, async () => {
    await using own = await openRoom(at.url);
    const counter = own.use(makeCounter(own.room, { name: 'visits', parts: 3 }));
    const args = ['--import', '@swc-node/register/esm-register', PROCESS, at.url, '100'];
    const outputs = await Promise.all(Array.from({ length: 4 }, () => run(process.execPath, args)));
    expect(await counter.value('home')).toBe(3_200);
    const ids = outputs.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
    expect(ids).toHaveLength(3_200);
    expect(new Set(ids).size).toBe(3_200);
    expect(Math.max(...ids)).toBeLessThan(3_200 + 4 * 2 * 50);
  });

  it('counts once what lost its reply, and what is repeated with its key', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using proxy = await CuttingProxy.start(server);
    await using own = await openRoom(proxy.url);
    const counter = own.use(makeCounter(own.room, { name: 'lost' }));
    await counter.add('a');
    proxy.dropRepliesAfter(0);
    const adding = counter.add('a', 10);
    const direct = await openRoom(server.url);
    const look = direct.use(makeCounter(direct.room, { name: 'lost' }));
    await until(async () => (await look.value('a')) === 11, { what: 'the addition to arrive' });
    proxy.cut();
    proxy.restore();
    await adding;
    for (let repeat = 0; repeat < 3; repeat++) {
      await counter.add('a', 5, { idempotencyKey: 'order-17' });
      await look.add('a', 5, { idempotencyKey: 'order-17' });
    }
    expect(await counter.value('a')).toBe(16);
    await direct[Symbol.asyncDispose]();
  });

  it('takes whole numbers, also negative ones, and sums beyond what numbers hold', async () => {
    await using own = await openRoom(at.url);
    const counter = own.use(makeCounter(own.room, { name: 'whole', parts: 1 }));
    expect(await counter.value('none')).toBe(0);
    await counter.add('n', -5);
    expect(await counter.value('n')).toBe(-5);
    await expect(counter.add('n', 0.5)).rejects.toThrow(CountError);
    await counter.add('large', Number.MAX_SAFE_INTEGER);
    await counter.add('large', Number.MAX_SAFE_INTEGER);
    await expect(counter.value('large')).rejects.toThrow(CountError);
    expect(await counter.exactValue('large')).toBe(2n * BigInt(Number.MAX_SAFE_INTEGER));
  });
});

describe('a wait group', () => {
  it('tells adding from being done, though both have the same idempotency key', async () => {
    await using own = await openRoom(at.url);
    const group = own.use(makeWaitGroup(own.room, { name: 'same-keys' }));
    const options = { idempotencyKey: 'step-1' };
    expect(await group.add('job', 2, options)).toBe(2);
    expect(await group.add('job', 2, options)).toBe(2);
    expect(await group.done('job', options)).toBe(1);
    expect(await group.done('job', options)).toBe(1);
  });

  it('lets those go who wait when all is done, told by the watch', async () => {
    await using own = await openRoom(at.url);
    await using other = await openRoom(at.url);
    const group = own.use(makeWaitGroup(own.room, { name: 'imports' }));
    const others = other.use(makeWaitGroup(other.room, { name: 'imports' }));
    await group.wait('none');
    expect(await group.add('job', 3)).toBe(3);
    let open = false;
    const waiting = others.wait('job').then(() => (open = true));
    expect(await group.done('job', { idempotencyKey: 'part-1' })).toBe(2);
    expect(await others.done('job', { idempotencyKey: 'part-1' })).toBe(2);
    await group.done('job', { idempotencyKey: 'part-2' });
    expect(await group.count('job')).toBe(1);
    expect(open).toBe(false);
    await others.done('job');
    await waiting;
    await expect(group.done('job')).rejects.toThrow(CountError);
    await expect(group.done('never')).rejects.toThrow(CountError);
    await expect(group.add('job', 0)).rejects.toThrow(CountError);
  });

  it('keeps its count over a restart of the server and of the process', { timeout: 60_000 }, async () => {
    await using server = await EmbeddedNatsServer.start();
    {
      await using own = await openRoom(server.url);
      await own.use(makeWaitGroup(own.room, { name: 'imports' })).add('job', 2);
    }
    await using own = await openRoom(server.url);
    const group = own.use(makeWaitGroup(own.room, { name: 'imports' }));
    const waiting = group.wait('job');
    expect(await group.done('job')).toBe(1);
    await server.kill();
    await server.restart();
    expect(await group.done('job')).toBe(0);
    await waiting;
  });

  it('stops waiting when its caller does, or it is closed', async () => {
    await using own = await openRoom(at.url);
    const group = own.use(makeWaitGroup(own.room, { name: 'imports' }));
    await group.add('long');
    await expect(group.wait('long', { signal: AbortSignal.timeout(50) })).rejects.toThrow(CancelledError);
    const waiting = expect(group.wait('long')).rejects.toThrow('closed');
    await until(async () => (await at.streams.manager.consumers.list('KV_flow_waitgroup_imports').next()).length > 0, {
      what: 'the watch to begin',
    });
    await group.close();
    await waiting;
    await expect(group.add('long')).rejects.toThrow('is closed');
  });
});

it('is no count of a wait group what numbers do not hold exactly', async () => {
  await using own = await openRoom(at.url);
  const group = own.use(makeWaitGroup(own.room, { name: 'large' }));
  await group.add('k', Number.MAX_SAFE_INTEGER);
  await expect(group.add('k')).rejects.toThrow(CountError);
  expect(await group.done('k')).toBe(Number.MAX_SAFE_INTEGER - 1);
});

describe('a latch', () => {
  it('opens when it is counted down, for those who came before it was set too', async () => {
    await using own = await openRoom(at.url);
    await using other = await openRoom(at.url);
    const latch = own.use(makeLatch(own.room, { name: 'start' }));
    const others = other.use(makeLatch(other.room, { name: 'start' }));
    const waiting = others.wait('go');
    await expect(latch.countDown('go')).rejects.toThrow('it is not set');
    expect(await latch.count('go')).toBeUndefined();
    expect(await latch.set('go', 2)).toBe(true);
    expect(await others.set('go', 7)).toBe(false);
    expect(await latch.countDown('go', 1, { idempotencyKey: 'a' })).toBe(1);
    expect(await latch.countDown('go', 1, { idempotencyKey: 'a' })).toBe(1);
    expect(await others.countDown('go', 5)).toBe(0);
    await waiting;
    await latch.wait('go');
    expect(await latch.countDown('go')).toBe(0);
  });

  it('takes any count that it can hold, and says which it cannot', async () => {
    await using own = await openRoom(at.url);
    const latch = own.use(makeLatch(own.room, { name: 'large' }));
    for (const count of [-1, 0.5, 2 ** 32]) await expect(latch.set('k', count)).rejects.toThrow(CountError);
    expect(await latch.set('k', 2 ** 32 - 1)).toBe(true);
    expect(await latch.countDown('k')).toBe(2 ** 32 - 2);
  });
});

const RESTARTS = 'keeps its state over a restart of the server and of the process';

it(`a latch ${RESTARTS}`, { timeout: 60_000 }, async () => {
  await using server = await EmbeddedNatsServer.start();
  {
    await using own = await openRoom(server.url);
    const latch = own.use(makeLatch(own.room, { name: 'start' }));
    await latch.set('go', 3);
    await latch.countDown('go', 1, { idempotencyKey: 'a' });
  }
  await using own = await openRoom(server.url);
  const latch = own.use(makeLatch(own.room, { name: 'start' }));
  const waiting = latch.wait('go');
  expect(await latch.set('go', 9)).toBe(false);
  await server.kill();
  await server.restart();
  expect(await latch.countDown('go', 1, { idempotencyKey: 'a' })).toBe(2);
  expect(await latch.countDown('go', 2)).toBe(0);
  await waiting;
  await server.kill();
  await server.restart();
  await using after = await openRoom(server.url);
  const opened = after.use(makeLatch(after.room, { name: 'start' }));
  await opened.wait('go');
  expect(await opened.set('go', 1)).toBe(false);
});

it(`a barrier ${RESTARTS}`, { timeout: 60_000 }, async () => {
  await using server = await EmbeddedNatsServer.start();
  const options = { name: 'phase', parties: 3 };
  {
    await using own = await openRoom(server.url);
    const barrier = own.use(makeBarrier(own.room, options));
    const ended = expect(barrier.arrive('all', { party: 'a' })).rejects.toThrow('closed');
    await until(async () => (await barrier.waiting('all')) === 1, { what: 'a to arrive' });
    await barrier.close();
    await ended;
  }
  await using own = await openRoom(server.url);
  const barrier = own.use(makeBarrier(own.room, options));
  const stayed = barrier.arrive('all', { party: 'b' });
  await until(async () => (await barrier.waiting('all')) === 2, { what: 'b to arrive' });
  await server.kill();
  await server.restart();
  await using after = await openRoom(server.url);
  const others = after.use(makeBarrier(after.room, options));
  expect(await others.waiting('all')).toBe(2);
  const back = others.arrive('all', { party: 'a' });
  expect(await others.arrive('all', { party: 'c' })).toBe(1);
  expect(await Promise.all([stayed, back])).toEqual([1, 1]);
  await server.kill();
  await server.restart();
  await until(async () => (await others.waiting('all')) === 0, { what: 'the server to answer' });
  const next = [barrier, others, others].map((each) => each.arrive('all'));
  expect(await Promise.all(next)).toEqual([2, 2, 2]);
});

describe('a barrier', () => {
  it('lets all go together, again and again', async () => {
    const rooms = await Promise.all(Array.from({ length: 3 }, () => openRoom(at.url)));
    const barriers = rooms.map((room) => room.use(makeBarrier(room.room, { name: 'phase', parties: 3 })));
    const done = [0, 0, 0];
    await Promise.all(
      barriers.map(async (barrier, index) => {
        for (let phase = 1; phase <= 5; phase++) {
          done[index] = phase;
          expect(await barrier.arrive('all')).toBe(phase);
          expect(Math.min(...done)).toBeGreaterThanOrEqual(phase);
        }
      }),
    );
    for (const room of rooms) await room[Symbol.asyncDispose]();
  });

  it('counts a party once, and no longer one that went away', async () => {
    await using own = await openRoom(at.url);
    const barrier = own.use(makeBarrier(own.room, { name: 'phase', parties: 2 }));
    const abort = new AbortController();
    const gone = barrier.arrive('two', { signal: abort.signal });
    await until(async () => (await barrier.waiting('two')) === 1, { what: 'the first to arrive' });
    abort.abort();
    await expect(gone).rejects.toThrow(CancelledError);
    expect(await barrier.waiting('two')).toBe(0);
    const twice = [barrier.arrive('two', { party: 'a' }), barrier.arrive('two', { party: 'a' })];
    await until(async () => (await barrier.waiting('two')) === 1, { what: 'a to arrive' });
    expect(await barrier.arrive('two', { party: 'b' })).toBe(1);
    expect(await Promise.all(twice)).toEqual([1, 1]);
  });
});

describe('an id generator', () => {
  it('begins where it is told, goes on in a new process, and has no gaps with blocks of one', async () => {
    const options = { name: 'invoices', block: 1, start: 1_000 };
    {
      await using own = await openRoom(at.url);
      const generator = own.use(makeIdGenerator(own.room, options));
      const ids = await Promise.all(Array.from({ length: 5 }, () => generator.next('2026')));
      expect(ids.toSorted()).toEqual([1_000, 1_001, 1_002, 1_003, 1_004]);
    }
    await using own = await openRoom(at.url);
    expect(await own.use(makeIdGenerator(own.room, options)).next('2026')).toBe(1_005);
    expect(await own.use(makeIdGenerator(own.room, options)).next('2027')).toBe(1_000);
  });

  it('takes one block at a time, ahead of need', async () => {
    await using own = await openRoom(at.url);
    const generator = own.use(makeIdGenerator(own.room, { name: 'fast', block: 100 }));
    const ids: number[] = [];
    for (let index = 0; index < 1_000; index++) ids.push(await generator.next('x'));
    expect(ids).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
    const { state } = await at.streams.manager.streams.info('KV_flow_ids_fast');
    expect(state.last_seq).toBeLessThanOrEqual(11);
  });

  it('gives no id twice where numbers are not exact any more', async () => {
    await using own = await openRoom(at.url);
    const last = Number.MAX_SAFE_INTEGER;
    const generator = own.use(makeIdGenerator(own.room, { name: 'last', block: 1, start: last - 1 }));
    expect([await generator.next('x'), await generator.next('x')]).toEqual([last - 1, last]);
    await expect(generator.next('x')).rejects.toThrow(CountError);
    await expect(generator.next('x')).rejects.toThrow(CountError);
  });
});
