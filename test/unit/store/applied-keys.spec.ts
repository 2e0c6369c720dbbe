import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../lib/common/errors.js';
import { AppliedKeys, hashIdempotencyKey } from '../../../lib/store/engine/applied-keys.js';

const limits = { count: 100, ageMs: 60_000 };

describe('AppliedKeys', () => {
  it('remembers the newest up to the count, through headers and back', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.string({ minLength: 1 }), { maxLength: 40 }), { maxLength: 20 }), (commits) => {
        let keys = AppliedKeys.NONE;
        const all: Buffer[] = [];
        commits.forEach((commit, index) => {
          const hashes = commit.map(hashIdempotencyKey);
          all.push(...hashes);
          keys = keys.with(hashes, limits, 1_000_000 + index * 1_000);
          const { hashes: text, times } = keys.toHeaders();
          keys = AppliedKeys.parse(text, times);
        });
        expect(keys.size).toBe(Math.min(limits.count, all.length));
        for (const hash of all.slice(-limits.count)) expect(keys.has(hash, limits.ageMs, 1_020_000)).toBe(true);
      }),
    );
  });

  it('does not find what is older than the age, also when nothing was added since', () => {
    const [first, second] = [hashIdempotencyKey('first'), hashIdempotencyKey('second')];
    const keys = AppliedKeys.NONE.with([first], limits, 0).with([second], limits, 30_000);
    const found = (now: number): boolean[] => [first, second].map((hash) => keys.has(hash, limits.ageMs, now));
    expect(found(60_000)).toEqual([true, true]);
    expect(found(65_000)).toEqual([false, true]);
    expect(found(95_000)).toEqual([false, false]);
    expect(keys.has(first, 10 * limits.ageMs, 95_000)).toBe(true);
    // Added again while the old one is still in the list.
    const again = AppliedKeys.parse(keys.toHeaders().hashes, keys.toHeaders().times).with([first], limits, 65_000);
    expect(again.has(first, limits.ageMs, 70_000)).toBe(true);
    const stale = AppliedKeys.NONE.with([first], { ...limits, ageMs: 1e9 }, 0).with(
      [first],
      { ...limits, ageMs: 1e9 },
      1e8,
    );
    expect([stale.size, stale.has(first, limits.ageMs, 1e8)]).toEqual([2, true]);
  });

  it('forgets what is older than the age, not earlier', () => {
    const first = hashIdempotencyKey('first');
    const second = hashIdempotencyKey('second');
    let keys = AppliedKeys.NONE.with([first], limits, 0).with([second], limits, 30_000);
    keys = keys.with([], limits, 60_000);
    expect([first, second].map((hash) => keys.has(hash, 1e12, 95_000))).toEqual([true, true]);
    keys = keys.with([], limits, 65_000);
    expect([first, second].map((hash) => keys.has(hash, 1e12, 95_000))).toEqual([false, true]);
    keys = keys.with([], limits, 95_000);
    expect(keys.size).toBe(0);
  });

  it('does not find a hash across the border of two', () => {
    const [a, b] = [Buffer.from('0123456789abcdef', 'hex'), Buffer.from('fedcba9876543210', 'hex')];
    const keys = AppliedKeys.NONE.with([a, b], limits, 0);
    expect(keys.has(Buffer.concat([a.subarray(4), b.subarray(0, 4)]), limits.ageMs, 0)).toBe(false);
  });

  it('refuses damaged headers', () => {
    expect(() => AppliedKeys.parse('AAAA', '1x1')).toThrow(DecodeError);
  });
});
