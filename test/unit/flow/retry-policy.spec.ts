import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { RetryLater } from '../../../lib/flow/retry-later.error.js';
import { custom, DEFAULT_RETRY, exponential, fixed } from '../../../lib/flow/retry-policy.js';

const error = new Error('failed');

describe('exponential()', () => {
  it('multiplies by the factor up to the maximum', () => {
    const delays = (policy: ReturnType<typeof exponential>) =>
      [1, 2, 3, 4, 5].map((attempt) => policy.delay(error, attempt));
    expect(delays(exponential('1s', { jitter: false }))).toEqual([1000, 2000, 4000, 8000, 16_000]);
    expect(delays(exponential('100ms', { jitter: false, factor: 3 }))).toEqual([100, 300, 900, 2700, 8100]);
    expect(delays(exponential('1s', { jitter: false, factor: 1 }))).toEqual([1000, 1000, 1000, 1000, 1000]);
    expect(delays(exponential('1s', { jitter: false, max: '3s' }))).toEqual([1000, 2000, 3000, 3000, 3000]);
  });

  it('stays between half of the delay and the delay with jitter, at any attempt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60_000 }),
        fc.integer({ min: 0, max: 600_000 }),
        fc.double({ min: 1, max: 10, noNaN: true }),
        fc.integer({ min: 1, max: 5000 }),
        (initial, max, factor, attempt) => {
          const full = exponential(initial, { max, factor, jitter: false }).delay(error, attempt);
          const jittered = exponential(initial, { max, factor }).delay(error, attempt);
          expect(full).toBeLessThanOrEqual(max);
          expect(jittered).toBeGreaterThanOrEqual(Math.floor(Number(full) / 2) - 1);
          expect(jittered).toBeLessThanOrEqual(Number(full) + 1);
        },
      ),
    );
  });

  it('spreads failures of one time', () => {
    const policy = exponential('10s');
    expect(new Set(Array.from({ length: 20 }, () => policy.delay(error, 1))).size).toBeGreaterThan(1);
  });

  it('has five attempts by default', () => {
    expect([
      exponential('1s').attempts,
      fixed('1s').attempts,
      custom(() => 0).attempts,
      DEFAULT_RETRY.attempts,
    ]).toEqual([5, 5, 5, 5]);
  });

  it('refuses options out of range, all at once', () => {
    expect(() => exponential('1s', { attempts: 0, factor: 0.5, max: -1 })).toThrow(/3 problems/);
    expect(() => exponential(0)).toThrow(/fixed\(0\)/);
    expect(() => exponential('soon' as '1s')).toThrow(ConfigurationError);
    expect(() => fixed('1s', { attempts: 1.5 })).toThrow(ConfigurationError);
  });
});

describe('fixed()', () => {
  it('gives the same delay each time', () => {
    const policy = fixed('5s', { attempts: 3 });
    expect([policy.attempts, policy.delay(error, 1), policy.delay(error, 2)]).toEqual([3, 5000, 5000]);
  });
});

describe('custom()', () => {
  it('decides by error and attempt', () => {
    const policy = custom((thrown, attempt) => (thrown === error ? 'dead-letter' : `${attempt}s`), { attempts: 9 });
    expect([policy.attempts, policy.delay(error, 1), policy.delay(undefined, 3)]).toEqual([9, 'dead-letter', 3000]);
  });

  it('passes its own mistakes on', () => {
    expect(() => custom(() => 'never' as '1s').delay(error, 1)).toThrow(RangeError);
  });
});

describe('RetryLater', () => {
  it('carries its delay in milliseconds', () => {
    const later = new RetryLater('5s', 'not yet', { cause: error });
    expect(later).toMatchObject({
      name: 'RetryLater',
      code: 'RETRY_LATER',
      delayMs: 5000,
      message: 'not yet',
      cause: error,
    });
    expect(new RetryLater(250).message).toContain('250 ms');
    expect(() => new RetryLater('whenever' as '1s')).toThrow(RangeError);
  });
});
