import { describe, expect, it } from 'vitest';
import { CancelledError, ConfigurationError, ConnectionError } from '../../../lib/common/errors.js';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();
let names = 0;
const fresh = (): string => `limiter-${++names}`;
type Unnamed<Options> = Options extends unknown ? Omit<Options, 'name'> & { name?: string } : never;

describe.each([
  ['each key by itself', {}, 'limit'],
  ['3 shards', { shards: 3 }, 'shard'],
] as const)('with %s:', (_, layout, kind) => {
  const open = (options: Unnamed<RateLimiterOptions>) => openLimiter(at.url, { name: fresh(), ...layout, ...options });
  const bucketInfo = (name: string) => at.streams.manager.streams.info(`KV_flow_${kind}_${name}`);
  /** Sequence of the last write to the limiter's bucket. */
  const lastWrite = async (name: string): Promise<number> => (await bucketInfo(name)).state.last_seq;

  describe.each(['gcra', 'fixed-window', 'sliding-window', 'sliding-log'] as const)('%s', (algorithm) => {
    it('allows the limit, denies the rest, and says what is left', async () => {
      await using one = await open({ limit: 3, window: '1h', algorithm });
      const decisions = [];
      for (let index = 0; index < 5; index++) decisions.push(await one.limiter.consume('user 1'));
      expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false]);
      expect(decisions.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0, 0]);
      expect(decisions.map(({ limit }) => limit)).toEqual([3, 3, 3, 3, 3]);
      expect(decisions[2]!.retryAfterMs).toBe(0);
      expect(decisions[3]!.retryAfterMs).toBeGreaterThan(1_000);
      expect(Math.abs(decisions[0]!.resetAt.getTime() - decisions[0]!.resetAfterMs - Date.now())).toBeLessThan(1_000);
      expect((await one.limiter.consume('user 2')).allowed).toBe(true);
    });

    it('gives units back as time passes', async () => {
      await using one = await open({ limit: 2, window: 200, algorithm });
      await one.limiter.consume('key', { cost: 2 });
      const denied = await one.limiter.consume('key', { cost: 2 });
      expect(denied.allowed).toBe(false);
      const before = performance.now();
      const waited = await one.limiter.waitFor('key', { cost: 2 });
      expect(waited.allowed).toBe(true);
      expect(performance.now() - before).toBeGreaterThan(denied.retryAfterMs - 20);
    });
  });

  describe('a limiter', () => {
    it('decides about a hot key with a handful of writes', async () => {
      const name = fresh();
      await using one = await open({ name, limit: 600, window: '1h', algorithm: 'fixed-window' });
      const decisions = await Promise.all(Array.from({ length: 1_000 }, () => one.limiter.consume('hot')));
      expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(600);
      expect(await lastWrite(name)).toBeLessThanOrEqual(5);
    });

    it('decides several limits together', async () => {
      await using one = await open({
        limits: [
          { name: 'burst', limit: 2, window: 2_000, algorithm: 'fixed-window' },
          { name: 'day', limit: 3, window: '1d', algorithm: 'fixed-window' },
        ],
      });
      expect((await one.limiter.consume('key', { cost: 2 })).remaining).toBe(0);
      const burst = await one.limiter.consume('key');
      expect(burst).toMatchObject({ allowed: false, limit: 2 });
      expect(burst.retryAfterMs).toBeLessThanOrEqual(2_000);
      // What the first limit denied is not counted by the second.
      expect(burst.limits.map(({ name, remaining }) => [name, remaining])).toEqual([
        ['burst', 0],
        ['day', 1],
      ]);
      await one.limiter.waitFor('key');
      const day = await one.limiter.consume('key');
      expect(day).toMatchObject({ allowed: false, limit: 3 });
      expect(day.retryAfterMs).toBeGreaterThan(80_000_000);
    });

    it('writes nothing when it denies, and asks nobody about a key that it knows to be at its limit', async () => {
      const name = fresh();
      await using one = await open({ name, limit: 2, window: '1h' });
      await using other = await open({ name, limit: 2, window: '1h' });
      await one.limiter.consume('key', { cost: 2 });
      const written = await lastWrite(name);
      expect((await one.limiter.consume('key')).source).toBe('blocked');
      const asked = await other.limiter.consume('key');
      expect(asked).toMatchObject({ allowed: false, source: 'store' });
      const known = await other.limiter.consume('key');
      expect(known).toMatchObject({ allowed: false, source: 'blocked', remaining: 0 });
      expect(known.retryAfterMs).toBeLessThanOrEqual(asked.retryAfterMs);
      expect(await lastWrite(name)).toBe(written);
    });

    it('denies a large cost without keeping a small one out', async () => {
      await using one = await open({ limit: 10, window: '1h' });
      await one.limiter.consume('key', { cost: 8 });
      expect((await one.limiter.consume('key', { cost: 5 })).allowed).toBe(false);
      expect((await one.limiter.consume('key', { cost: 5 })).source).toBe('blocked');
      expect((await one.limiter.consume('key', { cost: 2 })).allowed).toBe(true);
    });

    it('peeks without using anything', async () => {
      await using one = await open({ limit: 2, window: '1h' });
      for (let index = 0; index < 3; index++) {
        expect(await one.limiter.peek('key')).toMatchObject({ allowed: true, remaining: 2 });
      }
      await one.limiter.consume('key', { cost: 2 });
      expect(await one.limiter.peek('key')).toMatchObject({ allowed: false, remaining: 0 });
    });

    it('takes penalties and gives rewards, and forgets all of it at a reset', async () => {
      await using one = await open({ limit: 3, window: '1h', algorithm: 'fixed-window' });
      expect(await one.limiter.penalty('key', { cost: 5 })).toMatchObject({ allowed: false, remaining: 0 });
      expect((await one.limiter.consume('key')).allowed).toBe(false);
      expect(await one.limiter.reward('key', { cost: 2 })).toMatchObject({ allowed: false, remaining: 0 });
      expect(await one.limiter.reward('key', { cost: 2 })).toMatchObject({ allowed: true, remaining: 2 });
      expect((await one.limiter.consume('key', { cost: 2 })).allowed).toBe(true);
      expect((await one.limiter.consume('key')).allowed).toBe(false);
      await one.limiter.reset('key');
      expect(await one.limiter.consume('key')).toMatchObject({ allowed: true, remaining: 2 });
    });

    it.each(['exact', 'leased'] as const)('rejects costs that can never be allowed: %s', async (precision) => {
      await using one = await open({ limit: 3, window: '1h', precision, algorithm: 'fixed-window' });
      // Also when there is something to decide by here.
      for (let index = 0; index < 4; index++) await one.limiter.consume('key');
      for (const cost of [0, -1, 1.5, 4, NaN]) {
        await expect(one.limiter.consume('key', { cost })).rejects.toThrow(ConfigurationError);
        await expect(one.limiter.waitFor('key', { cost })).rejects.toThrow(ConfigurationError);
      }
    });

    it('keeps any text apart as key, however long', async () => {
      await using one = await open({ limit: 1, window: '1h' });
      const keys = ['', ' ', 'a.b', 'a.*', '>', 'ключ', 'x'.repeat(5_000), `${'x'.repeat(4_999)}y`, '\0'];
      for (const key of keys) expect((await one.limiter.consume(key)).allowed, key.slice(0, 9)).toBe(true);
      for (const key of keys) expect((await one.limiter.consume(key)).allowed, key.slice(0, 9)).toBe(false);
    });

    it('gives up when its signal aborts', async () => {
      await using one = await open({ limit: 1, window: '1h' });
      await expect(one.limiter.consume('key', { signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
      await one.limiter.consume('key');
      const abort = new AbortController();
      const waiting = one.limiter.waitFor('key', { signal: abort.signal });
      abort.abort();
      await expect(waiting).rejects.toThrow(CancelledError);
      // Nobody stands in line any more; who waits is woken when units are given back.
      const next = one.limiter.waitFor('key');
      await one.limiter.peek('key');
      await one.limiter.reset('key');
      expect((await next).allowed).toBe(true);
    });

    it('lets its keys expire', async () => {
      const name = fresh();
      await using one = await open({ name, limit: 1, window: 50, algorithm: 'fixed-window' });
      const { config } = await bucketInfo(name);
      expect(config.max_age / 1_000_000).toBe(5_050);
      await one.limiter.consume('key');
      const messages = async (): Promise<number> => (await bucketInfo(name)).state.messages;
      expect(await messages()).toBe(1);
      await until(async () => (await messages()) === 0, { what: 'the key expires', intervalMs: 200 });
      expect((await one.limiter.consume('key')).allowed).toBe(true);
    });

    it('keeps what instances with a longer window have counted, whichever came last', async () => {
      const name = fresh();
      const withWindow = async (window: number) => {
        await using one = await open({ name, limit: 1, window, algorithm: 'fixed-window' });
        await one.limiter.consume('key');
        return (await bucketInfo(name)).config.max_age / 1_000_000;
      };
      expect([await withWindow(60_000), await withWindow(50), await withWindow(90_000)]).toEqual([
        65_000, 65_000, 95_000,
      ]);
    });
  });

  describe('waitFor', () => {
    it('serves the line of a process in its order', async () => {
      await using one = await open({ limit: 20, window: '1s', burst: 1 });
      const order: number[] = [];
      const started = performance.now();
      await Promise.all(
        [1, 1, 1, 1, 1, 1].map(async (cost, index) => {
          await one.limiter.waitFor('key', { cost });
          order.push(index);
        }),
      );
      expect(order).toEqual([0, 1, 2, 3, 4, 5]);
      // One every 50 ms, the first at once.
      expect(performance.now() - started).toBeGreaterThan(230);
    });

    it('does not let a small cost overtake a large one', async () => {
      await using one = await open({ limit: 40, window: '1s', burst: 4 });
      await one.limiter.consume('key', { cost: 3 });
      const order: string[] = [];
      const wait = async (name: string, cost: number): Promise<void> => {
        await one.limiter.waitFor('key', { cost });
        order.push(name);
      };
      await Promise.all([wait('large', 4), wait('small', 1)]);
      expect(order).toEqual(['large', 'small']);
    });

    it('never exceeds the limit with several processes waiting', async () => {
      const name = fresh();
      const options = { name, limit: 50, window: 1_000, burst: 5 };
      await using one = await open(options);
      await using other = await open(options);
      const started = performance.now();
      const wait = (limiter: typeof one.limiter) =>
        Promise.all(Array.from({ length: 25 }, () => limiter.waitFor('key')));
      await Promise.all([wait(one.limiter), wait(other.limiter)]);
      // 50 units: 5 at once, the others at 50 per second.
      expect(performance.now() - started).toBeGreaterThan(890);
    });

    it('rejects who waits when the limiter is closed', async () => {
      await using one = await open({ limit: 1, window: '1h' });
      await one.limiter.consume('key');
      const waiting = one.limiter.waitFor('key');
      await one.limiter.close();
      await expect(waiting).rejects.toThrow(ConnectionError);
      await expect(one.limiter.consume('key')).rejects.toThrow(ConnectionError);
    });
  });

  describe('leased units', () => {
    const leased = { precision: 'leased', limit: 1_000, window: '1h' } as const;

    it('serve most decisions without a round trip, and never more than the limit', async () => {
      const name = fresh();
      await using one = await open({ ...leased, name });
      await using other = await open({ ...leased, name });
      let allowed = 0;
      let local = 0;
      for (let index = 0; index < 1_500; index++) {
        const decision = await (index % 2 === 0 ? one : other).limiter.consume('key');
        if (decision.allowed) allowed += 1;
        if (decision.source === 'leased') local += 1;
      }
      expect(allowed).toBeLessThanOrEqual(1_000);
      expect(allowed).toBeGreaterThan(850);
      expect(local).toBeGreaterThan(700);
      expect(await lastWrite(name)).toBeLessThan(100);
    });

    it('are lost when they are not used in time', async () => {
      const [limit, size, hold] = [1_000, 10, 500];
      await using one = await open({ ...leased, limit, algorithm: 'fixed-window', lease: { size, hold } });
      const started = performance.now();
      let uses = 0;
      const consume = async (): Promise<string> => {
        uses += 1;
        return (await one.limiter.consume('key')).source;
      };
      for (let index = 0; index < 20; index++) await consume();
      await until(async () => (await consume()) === 'leased', { what: 'a unit that is held', intervalMs: 1 });
      // Looks that are further apart than units are held.
      await until(async () => (await consume()) === 'store', { what: 'the hold to end', intervalMs: 2 * hold });
      const { remaining } = await one.limiter.peek('key');
      const holds = Math.ceil((performance.now() - started) / hold);
      expect(remaining).toBeLessThan(limit - uses);
      expect(remaining).toBeGreaterThanOrEqual(limit - uses - holds * 1.5 * size);
    });

    it('serve those who wait, never faster than the limit', async () => {
      await using one = await open({ precision: 'leased', limit: 40, window: 400, lease: { size: 5, hold: 20 } });
      const started = performance.now();
      await Promise.all(Array.from({ length: 80 }, () => one.limiter.waitFor('key')));
      // 38 at once, less than a burst by what comes back in the hold; the others at 100 per second.
      expect(performance.now() - started).toBeGreaterThan(400);
      expect(performance.now() - started).toBeLessThan(2_000);
    });

    it('are given up by resets, rewards and penalties of this process', async () => {
      await using one = await open({ ...leased, limit: 100 });
      for (let index = 0; index < 50; index++) await one.limiter.consume('key');
      await one.limiter.penalty('key', { cost: 100 });
      expect((await one.limiter.consume('key')).allowed).toBe(false);
      await one.limiter.reset('key');
      expect((await one.limiter.consume('key')).allowed).toBe(true);
    });
  });
});
