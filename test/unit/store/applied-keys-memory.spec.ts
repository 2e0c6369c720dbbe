import { expect, it } from 'vitest';
import { AppliedKeys, hashIdempotencyKey } from '../../../lib/store/engine/applied-keys.js';

/** Bytes that are kept for `keys`: a buffer, however short, keeps all of the memory that it is cut from. */
function held(keys: AppliedKeys): number {
  const buffers = Object.values(keys).filter((value): value is Buffer => Buffer.isBuffer(value));
  expect(buffers).not.toEqual([]);
  return buffers.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
}

it('holds the memory that it counts, and not the blocks that small buffers are cut from', () => {
  const limits = { count: 2, ageMs: 60_000 };
  const kept = [AppliedKeys.NONE];
  // Also with a key less at its begin, which is forgotten.
  for (const key of ['a', 'b', 'c']) kept.push(kept.at(-1)!.with([hashIdempotencyKey(key)], limits));
  for (const keys of kept.slice()) {
    const { hashes, times } = keys.toHeaders();
    kept.push(AppliedKeys.parse(hashes, times));
  }
  expect(kept.map(({ size }) => size)).toEqual([0, 1, 2, 2, 0, 1, 2, 2]);
  expect(kept.map(held)).toEqual(kept.map(({ size }) => size * hashIdempotencyKey('a').length));
});
