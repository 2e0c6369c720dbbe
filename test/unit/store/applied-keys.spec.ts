import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../../lib/common/errors.js';
import { AppliedKeys, hashIdempotencyKey } from '../../../lib/store/engine/applied-keys.js';

const limits = { count: 100, ageMs: 60_000 };

describe('AppliedKeys', () => {
  it('remembers the newest up to the count, through headers and back', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.string(), { maxLength: 40 }), { maxLength: 20 }), (commits) => {
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
        for (const hash of all.slice(-limits.count)) expect(keys.has(hash)).toBe(true);
      }),
    );
  });

  it('forgets what is older than the age, not earlier', () => {
    const first = hashIdempotencyKey('first');
    const second = hashIdempotencyKey('second');
    let keys = AppliedKeys.NONE.with([first], limits, 0).with([second], limits, 30_000);
    keys = keys.with([], limits, 60_000);
    expect([keys.has(first), keys.has(second)]).toEqual([true, true]);
    keys = keys.with([], limits, 65_000);
    expect([keys.has(first), keys.has(second)]).toEqual([false, true]);
    keys = keys.with([], limits, 95_000);
    expect(keys.size).toBe(0);
  });

  it('does not find a hash across the border of two', () => {
    const [a, b] = [Buffer.from('0123456789abcdef', 'hex'), Buffer.from('fedcba9876543210', 'hex')];
    const keys = AppliedKeys.NONE.with([a, b], limits, 0);
    expect(keys.has(Buffer.concat([a.subarray(4), b.subarray(0, 4)]))).toBe(false);
  });

  it('refuses damaged headers', () => {
    expect(() => AppliedKeys.parse('AAAA', '1x1')).toThrow(DecodeError);
  });
});
