import { describe, expect, it } from 'vitest';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { ConfigurationError, ConnectionError, FlowError } from '../../../lib/common/errors.js';
import { makeRateLimiter } from '../../../lib/coordination/rate-limiter/make-rate-limiter.js';
import { MemoryRateLimiter } from '../../../lib/coordination/rate-limiter/memory-rate-limiter.js';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { useFlowServer } from '../../support/flow-server.js';
import { recordingLog, silentLog } from '../../support/log.js';
import { until } from '../../support/until.js';
import { openLimiter } from './limiter-fixture.js';
import { openRoom } from './support/coordination-fixture.js';

const at = useFlowServer();
const WAYS = [
  ['throw', 'throw'],
  ['allow', 'allow'],
  ['deny', 'deny'],
  ['other', new MemoryRateLimiter({ limit: 2, window: '1h' })],
] as const;

describe('a server that is away', () => {
  it.each([
    ['throw', undefined],
    ['allow', true],
    ['deny', false],
  ] as const)('makes a limiter %s', async (onStoreError, allowed) => {
    await using server = await EmbeddedNatsServer.start();
    const log = recordingLog();
    await using one = await openLimiter(
      server.url,
      { name: 'api', limit: 5, window: '1h', onStoreError, timeout: 300 },
      log,
    );
    expect((await one.limiter.consume('key')).source).toBe('store');
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    const decision = one.limiter.consume('key');
    if (allowed === undefined) await expect(decision).rejects.toThrow(FlowError);
    else expect(await decision).toMatchObject({ allowed, source: 'fallback', limit: 5 });
    await server.restart();
    await until(async () => (await one.limiter.peek('key')).source === 'store', { what: 'the server answers' });
    expect(await one.limiter.consume('key')).toMatchObject({ allowed: true, source: 'store', remaining: 3 });
    const said = allowed === undefined ? 0 : 1;
    expect(log.messages('warn').filter((line) => line.includes('until the server answers'))).toHaveLength(said);
    expect(log.messages('log').filter((line) => line.includes('by the server again'))).toHaveLength(said);
  });

  it.each([
    [1, {}],
    [4, { shards: 2 }],
  ])('that is killed under load lets no more through than the limit: %d keys, %o', async (keys, layout) => {
    await using server = await EmbeddedNatsServer.start();
    const options = { name: 'api', limit: 2_000 / keys, window: '12h', timeout: '10s', ...layout } as const;
    await using one = await openLimiter(server.url, options);
    await using other = await openLimiter(server.url, options);
    let [asked, allowed, unknown, denied] = [0, 0, 0, 0];
    const ask = async ({ limiter }: typeof one): Promise<void> => {
      while (denied < 50 || allowed + unknown < 2_000) {
        try {
          if ((await limiter.consume(`key-${asked++ % keys}`)).allowed) allowed += 1;
          else denied += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(FlowError);
          unknown += 1;
        }
      }
    };
    const load = Promise.all([one, one, one, other, other, other].map(ask));
    for (const count of [300, 900, 1_500]) {
      await until(() => allowed >= count, { what: `${count} are through`, timeoutMs: 20_000 });
      await server.kill();
      await server.restart();
    }
    await load;
    expect(allowed).toBeLessThanOrEqual(2_000);
    // None is lost but those that nobody knows of.
    expect(allowed + unknown).toBeGreaterThanOrEqual(2_000);
  });

  it('lets another limiter decide', async () => {
    await using server = await EmbeddedNatsServer.start();
    const insurance = new MemoryRateLimiter({ limit: 2, window: '1h' });
    await using one = await openLimiter(server.url, { name: 'api', limit: 5, window: '1h', onStoreError: insurance });
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    const decisions = [];
    for (let index = 0; index < 3; index++) decisions.push(await one.limiter.consume('key'));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, false]);
    expect(decisions[2]).toMatchObject({ source: 'fallback', limit: 2 });
    // More than the insurance could ever allow.
    expect((await one.limiter.consume('key', { cost: 5 })).allowed).toBe(false);
  });

  it('uses nothing of the other limiter for a look', async () => {
    await using server = await EmbeddedNatsServer.start();
    const insurance = new MemoryRateLimiter({ limit: 2, window: '1h' });
    await using one = await openLimiter(server.url, { name: 'api', limit: 5, window: '1h', onStoreError: insurance });
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    for (let index = 0; index < 3; index++)
      expect(await one.limiter.peek('key')).toMatchObject({
        allowed: true,
        source: 'fallback',
        limit: 2,
        remaining: 2,
      });
    // More than the insurance could ever allow.
    expect((await one.limiter.peek('key', { cost: 5 })).allowed).toBe(false);
    expect(await one.limiter.consume('key', { cost: 2 })).toMatchObject({ allowed: true, source: 'fallback' });
    expect((await one.limiter.peek('key')).allowed).toBe(false);
  });

  it('says so when it is to look, and the other limiter cannot', async () => {
    await using server = await EmbeddedNatsServer.start();
    const { limits } = new MemoryRateLimiter({ limit: 2, window: '1h' }).consume('any');
    const log = recordingLog();
    const onStoreError = { consume: () => ({ allowed: true, limits }) };
    await using one = await openLimiter(server.url, { name: 'api', limit: 5, window: '1h', onStoreError }, log);
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    await expect(one.limiter.peek('key')).rejects.toThrow(ConnectionError);
    expect(log.messages('warn')).toEqual([]);
    expect((await one.limiter.consume('key')).allowed).toBe(true);
  });

  it.each([
    [true, { remaining: 5, retryAfterMs: 0 }],
    [false, { remaining: 0, retryAfterMs: 1_000 }],
  ])('tells of its own limits where the other limiter tells of none: %s', async (allowed, status) => {
    await using server = await EmbeddedNatsServer.start();
    const onStoreError = { consume: () => ({ allowed, limits: [] }) };
    await using one = await openLimiter(server.url, { name: 'api', limit: 5, window: '1h', onStoreError });
    await server.kill();
    await until(() => one.connection.status === 'disconnected', { what: 'the connection is lost' });
    const decision = await one.limiter.consume('key');
    expect(decision).toMatchObject({ allowed, source: 'fallback', limit: 5, ...status });
    expect(decision.limits).toMatchObject([{ name: 'api', limit: 5, windowMs: 3_600_000 }]);
  });

  it('does not keep a limiter from being made for first use', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using one = await openLimiter(server.url, { name: 'api', limit: 1, window: '1h' }, silentLog);
    const [first, second] = await Promise.all([one.limiter.consume('a'), one.limiter.consume('a')]);
    expect([first.allowed, second.allowed]).toEqual([true, false]);
  });
});

describe('a limiter that is closed', () => {
  it.each(WAYS)('decides nothing, whatever is to happen without a server: %s', async (what, onStoreError) => {
    const log = recordingLog();
    const name = `closed-${what}`;
    await using one = await openLimiter(at.url, { name, limit: 5, window: '1h', onStoreError }, log);
    await one.limiter.consume('key');
    await one.limiter.close();
    await expect(one.limiter.consume('key')).rejects.toThrow('is closed');
    await expect(one.limiter.peek('key')).rejects.toThrow('is closed');
    await expect(one.limiter.waitFor('key')).rejects.toThrow('is closed');
    await expect(one.limiter.penalty('key')).rejects.toThrow('is closed');
    expect(log.messages('warn')).toEqual([]);
  });

  it('stays closed when it was being opened', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using one = await openRoom(server.url);
    const limiter = one.use(
      makeRateLimiter(one.room, { name: 'opening', limit: 5, window: '1h', onStoreError: 'allow' }),
    );
    const opening = expect(limiter.ready()).rejects.toThrow('is closed');
    const deciding = expect(limiter.consume('key')).rejects.toThrow('is closed');
    await limiter.close();
    await Promise.all([opening, deciding]);
    await expect(limiter.consume('key')).rejects.toThrow('is closed');
  });
});

describe('options', () => {
  it('are all checked at once', async () => {
    const wrong = {
      name: 'no spaces',
      limit: 0,
      window: 'soon',
      burst: 2.5,
      algorithm: 'fixed-window',
      precision: 'vague',
      onStoreError: 'panic',
      blockedKeys: 0,
    } as unknown as RateLimiterOptions;
    const error = await openLimiter(at.url, wrong).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as ConfigurationError).problems.map((problem) => problem.split(':')[0])).toEqual(
      expect.arrayContaining(['name', 'limit', 'window', 'burst', 'precision', 'onStoreError', 'blockedKeys']),
    );
  });

  it.each([
    [{ limit: 5, window: '1s', burst: 2, algorithm: 'sliding-log' }, 'burst'],
    [{ limit: 5_000, window: '1s', algorithm: 'sliding-log' }, 'limit'],
    [{ limits: [] }, 'limits'],
    [{ limits: [{ limit: 1, window: '1s', name: 'a b' }] }, 'limits.0.name'],
    [{ limit: 1, window: '1s', precision: 'leased', lease: { hold: '10s' } }, 'lease.hold'],
  ])('%j are refused', async (options, path) => {
    const error = await openLimiter(at.url, { name: 'api', ...options } as RateLimiterOptions).catch((r: unknown) => r);
    expect(String((error as ConfigurationError).problems[0])).toContain(path);
  });
});
