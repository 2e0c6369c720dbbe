import { Kvm } from '@nats-io/kv';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { describe, expect, it } from 'vitest';
import { ConfigurationError, DecodeError } from '../../../lib/common/errors.js';
import type { RateLimiterOptions } from '../../../lib/coordination/rate-limiter/rate-limiter.options.js';
import { decodeShardCommit } from '../../../lib/coordination/rate-limiter/shards/shard-commit.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';
import { openLimiter } from './limiter-fixture.js';

const at = useFlowServer();
let names = 0;
const fresh = (): string => `sharded-${++names}`;
const bucketOf = (name: string) => new Kvm(at.streams.manager.jetstream()).open(`flow_shard_${name}`);
const stateOf = async (name: string) => (await at.streams.manager.streams.info(`KV_flow_shard_${name}`)).state;
const keys = (count: number, prefix = 'key'): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
const HOUR = { limit: 10, window: '1h' } as const;

describe('a limiter with shards', () => {
  it('stores what is decided at one time about many keys by few messages', async () => {
    const name = fresh();
    await using one = await openLimiter(at.url, { name, ...HOUR, shards: 2 });
    await one.limiter.consume('first');
    const before = (await stateOf(name)).last_seq;
    const decisions = await Promise.all(keys(400).map((key) => one.limiter.consume(key, { cost: 3 })));
    expect(decisions.every(({ allowed, remaining }) => allowed && remaining === 7)).toBe(true);
    expect((await stateOf(name)).last_seq - before).toBeLessThanOrEqual(4);
    expect((await stateOf(name)).num_subjects).toBe(2);
  });

  it('sees what others have counted, also of keys that were changed long before by many messages', async () => {
    const name = fresh();
    const options = { name, ...HOUR, shards: 1 } as const;
    await using one = await openLimiter(at.url, options);
    await using other = await openLimiter(at.url, options);
    await other.limiter.consume('own', { cost: 4 });
    for (const key of keys(70)) await one.limiter.consume(key, { cost: 6 });
    // Who has missed 70 messages, and who has not seen any.
    await using late = await openLimiter(at.url, options);
    for (const { limiter } of [other, late]) {
      expect((await limiter.peek('own')).remaining).toBe(6);
      expect((await limiter.peek('key-0')).remaining).toBe(4);
      expect((await limiter.peek('key-69')).remaining).toBe(4);
    }
    expect(await late.limiter.consume('key-0', { cost: 5 })).toMatchObject({ allowed: false, source: 'store' });
    expect((await late.limiter.consume('key-0', { cost: 4 })).allowed).toBe(true);
    await one.limiter.reset('key-0');
    expect((await late.limiter.peek('key-0')).remaining).toBe(10);
    expect((await stateOf(name)).messages).toBe(64);
  });

  it('goes on after a restart of the server, by another process', async () => {
    await using server = await EmbeddedNatsServer.start();
    const options = { name: 'api', ...HOUR, shards: 3 } as const;
    await using one = await openLimiter(server.url, options);
    await Promise.all(keys(50).map((key) => one.limiter.consume(key, { cost: 7 })));
    await server.kill();
    await server.restart();
    await using other = await openLimiter(server.url, options);
    for (const { limiter } of [one, other])
      for (const key of keys(50)) expect((await limiter.peek(key)).remaining).toBe(3);
    expect((await one.limiter.consume('key-1', { cost: 3 })).allowed).toBe(true);
    expect((await other.limiter.consume('key-1')).allowed).toBe(false);
  });

  it('lets keys that mean nothing any more go, from the messages and from what is expired', async () => {
    const name = fresh();
    await using one = await openLimiter(at.url, { name, limit: 5, window: 50, algorithm: 'fixed-window', shards: 1 });
    await Promise.all(keys(300).map((key) => one.limiter.consume(key)));
    const bucket = await bucketOf(name);
    const held = async (): Promise<number> => {
      const counted = new Set<string>();
      for await (const { value } of await bucket.history({ key: 'shard-0' }))
        for (const [key] of decodeShardCommit(value).keys) counted.add(key);
      return counted.size;
    };
    expect(await held()).toBe(300);
    // Each message says all of another segment, without those whose time is over since five seconds.
    const next = async (): Promise<boolean> => {
      for (let message = 0; message < 64; message++) await one.limiter.consume('last');
      return (await held()) === 1;
    };
    await until(next, { what: 'only the last key is held', intervalMs: 500, timeoutMs: 20_000 });
    await until(async () => (await stateOf(name)).messages === 0, { what: 'all expires', intervalMs: 200 });
    expect(await one.limiter.consume('key-7')).toMatchObject({ allowed: true, remaining: 4 });
  });

  it('begins anew in a bucket that is made anew', async () => {
    const name = fresh();
    const options = { name, ...HOUR, shards: 2 } as const;
    await using one = await openLimiter(at.url, options);
    await Promise.all(keys(20).map((key) => one.limiter.consume(key, { cost: 10 })));
    await at.streams.manager.streams.delete(`KV_flow_shard_${name}`);
    await using other = await openLimiter(at.url, options);
    // As many messages as there were, and more: revisions fit by chance.
    for (const key of keys(20)) await other.limiter.consume(key);
    for (const key of keys(20, 'other')) expect((await one.limiter.consume(key)).remaining).toBe(9);
    for (const key of keys(20)) expect((await one.limiter.peek(key)).remaining).toBe(9);
  });

  it('begins anew where somebody has deleted a shard', async () => {
    const name = fresh();
    const options = { name, ...HOUR, shards: 1 } as const;
    await using one = await openLimiter(at.url, options);
    await using other = await openLimiter(at.url, options);
    await one.limiter.consume('key', { cost: 10 });
    await other.limiter.peek('key');
    await (await bucketOf(name)).delete('shard-0');
    expect((await other.limiter.peek('key')).remaining).toBe(10);
    expect((await other.limiter.consume('key')).allowed).toBe(true);
    await one.limiter.reward('another');
    expect((await one.limiter.peek('key')).remaining).toBe(9);
  });
});

it.each([{}, { shards: 1 }])(
  'a limiter becomes usable, and counts right, while others write as fast as they can: %o',
  async (layout) => {
    const options = { name: fresh(), limit: 1_000_000, window: '1h', algorithm: 'fixed-window', ...layout } as const;
    await using one = await openLimiter(at.url, options);
    await using two = await openLimiter(at.url, options);
    let [busy, used] = [true, 0];
    const write = async ({ limiter }: typeof one, own: string): Promise<void> => {
      for (let index = 0; busy; index++) {
        if ((await limiter.consume(index % 2 === 0 ? 'shared' : `${own}-${index % 40}`)).allowed && index % 2 === 0)
          used++;
      }
    };
    const writing = Promise.all([write(one, 'a'), write(one, 'b'), write(two, 'c'), write(two, 'd')]);
    await until(() => used > 100, { what: 'others write' });
    await using late = await openLimiter(at.url, options);
    for (let index = 0; index < 20; index++) {
      expect((await late.limiter.consume('shared')).allowed).toBe(true);
      used++;
    }
    busy = false;
    await writing;
    for (const { limiter } of [one, two, late])
      expect((await limiter.peek('shared')).remaining).toBe(options.limit - used);
  },
);

it.each([
  ['of many keys in a shard', { shards: 1 }, (index: number) => `key-${index}`],
  ['of a hot key', {}, () => 'hot'],
] as const)(
  'decisions %s are made before the application has stopped, also those that wait for others',
  async (_, layout, keyOf) => {
    const one = await openLimiter(at.url, { name: fresh(), limit: 1_000_000, window: '1h', ...layout });
    const asked = Promise.all(Array.from({ length: 10_000 }, (__, index) => one.limiter.consume(keyOf(index))));
    await one.room.close();
    expect((await asked).every(({ allowed }) => allowed)).toBe(true);
    await one[Symbol.asyncDispose]();
  },
);

describe('decisions of a shard', () => {
  it('are spread over several messages where one does not hold them', async () => {
    const name = fresh();
    await using one = await openLimiter(at.url, { name, ...HOUR, shards: 1 });
    const long = keys(4_000, 'x'.repeat(240));
    const decisions = await Promise.all(long.map((key) => one.limiter.consume(key)));
    expect(decisions.every(({ allowed, remaining }) => allowed && remaining === 9)).toBe(true);
    await using other = await openLimiter(at.url, { name, ...HOUR, shards: 1 });
    for (const key of [long[0], long[3_999]]) expect((await other.limiter.peek(key as string)).remaining).toBe(9);
  });

  it('count with those of instances with a longer window, which they do not understand', async () => {
    const name = fresh();
    const common = { name, algorithm: 'fixed-window', shards: 1 } as const;
    await using old = await openLimiter(at.url, { ...common, limit: 1_000, window: 100 });
    await using newer = await openLimiter(at.url, { ...common, limit: 1, window: '1h' });
    expect((await newer.limiter.consume('victim')).allowed).toBe(true);
    // Longer than the bucket kept anything when the old one came.
    const { config } = await at.streams.manager.streams.info(`KV_flow_shard_${name}`);
    expect(config.max_age / 1_000_000).toBeGreaterThan(3_600_000);
    const begun = performance.now();
    await until(() => performance.now() - begun > 5_300, { what: 'its own states are over', timeoutMs: 10_000 });
    for (let message = 0; message < 70; message++) await old.limiter.consume('own');
    expect((await newer.limiter.peek('victim')).allowed).toBe(false);
  });
});

describe('what does not fit', () => {
  it('is another number of shards', async () => {
    const name = fresh();
    const other = { name, ...HOUR, shards: 3 } as const;
    const says = /over 1 shards in bucket .*the option shards is 3/;
    await using one = await openLimiter(at.url, { name, ...HOUR, shards: 1 });
    // It has come before there was anything to compare with.
    await using early = await openLimiter(at.url, other);
    await one.limiter.consume('key');
    await expect(openLimiter(at.url, other)).rejects.toThrow(says);
    const asked = await Promise.allSettled(keys(20).map((key) => early.limiter.consume(key)));
    const refused = asked.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) {
      expect(reason).toBeInstanceOf(ConfigurationError);
      expect(String(reason)).toMatch(says);
    }
  });

  it('is what another client has put there', async () => {
    const name = fresh();
    await using one = await openLimiter(at.url, { name, ...HOUR, shards: 1 });
    const revision = await (await bucketOf(name)).put('shard-0', 'not ours');
    const asked = one.limiter.consume('key');
    await expect(asked).rejects.toThrow(DecodeError);
    await expect(asked).rejects.toThrow(`Bucket "flow_shard_${name}", key "shard-0", revision ${revision}`);
    await expect(one.limiter.peek('key')).rejects.toThrow(DecodeError);
    await (await bucketOf(name)).purge('shard-0');
    expect((await one.limiter.consume('key')).allowed).toBe(true);
  });

  it.each([0, 1.5, 2_000, 'many'])('is the option %s', async (shards) => {
    const options = { name: fresh(), ...HOUR, shards } as RateLimiterOptions;
    await expect(openLimiter(at.url, options)).rejects.toThrow(/shards/);
  });
});
