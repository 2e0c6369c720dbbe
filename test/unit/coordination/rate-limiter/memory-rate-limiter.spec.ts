import { describe, expect, it } from 'vitest';
import { ConfigurationError, MemoryRateLimiter } from 'nestjs-jetstream-flow';

describe('MemoryRateLimiter', () => {
  it('limits keys in this process', () => {
    const limiter = new MemoryRateLimiter({ limit: 3, window: '1h' });
    const decisions = [1, 1, 1, 1].map((cost) => limiter.consume('key', { cost }));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, false]);
    // Each tells how it was then.
    expect(decisions.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0]);
    expect(limiter.consume('other').allowed).toBe(true);
    limiter.reset('key');
    expect(limiter.consume('key').allowed).toBe(true);
  });

  it('looks without using anything, and without keeping a key from being forgotten', () => {
    const limiter = new MemoryRateLimiter({ limit: 2, window: '1h' }, { maxKeys: 2 });
    for (let look = 0; look < 3; look++)
      expect(limiter.peek('a', { cost: 2 })).toMatchObject({ allowed: true, remaining: 2 });
    limiter.consume('a');
    expect(limiter.peek('a', { cost: 2 })).toMatchObject({ allowed: false, remaining: 1, source: 'fallback' });
    limiter.consume('b');
    limiter.peek('a');
    limiter.consume('c');
    expect(limiter.peek('a').remaining).toBe(2);
    expect(() => limiter.peek('a', { cost: 3 })).toThrow(ConfigurationError);
  });

  it('decides several limits together', () => {
    const limiter = new MemoryRateLimiter([
      { limit: 5, window: '1h' },
      { limit: 2, window: '1d', algorithm: 'sliding-log' },
    ]);
    expect([1, 2, 3].map(() => limiter.consume('key').allowed)).toEqual([true, true, false]);
  });

  it('forgets the keys that were not used for longest', () => {
    const limiter = new MemoryRateLimiter({ limit: 1, window: '1h' }, { maxKeys: 2 });
    for (const key of ['a', 'b', 'c']) limiter.consume(key);
    expect([limiter.consume('c').allowed, limiter.consume('b').allowed]).toEqual([false, false]);
    expect(limiter.consume('a').allowed).toBe(true);
  });

  it('refuses what is wrong, and tells its decisions to logs', () => {
    expect(() => new MemoryRateLimiter({ limit: 0, window: '1h' })).toThrow(ConfigurationError);
    const limiter = new MemoryRateLimiter({ limit: 3, window: '1h', algorithm: 'fixed-window' });
    expect(() => limiter.consume('key', { cost: 4 })).toThrow(ConfigurationError);
    expect(JSON.parse(JSON.stringify(limiter.consume('key')))).toMatchObject({
      allowed: true,
      source: 'fallback',
      limit: 3,
      remaining: 2,
      retryAfterMs: 0,
      resetAfterMs: 3_600_000,
      limits: [{ name: 'default', limit: 3, remaining: 2 }],
    });
  });
});
