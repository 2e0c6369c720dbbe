import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { AppliedKeys, hashIdempotencyKey } from '../../../lib/store/engine/applied-keys.js';

it('holds the memory that it counts, and not the blocks that small buffers are cut from', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = (): number => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  const kept: AppliedKeys[] = [];
  for (let index = 0; index < 4_000; index++) {
    const added = AppliedKeys.NONE.with([hashIdempotencyKey(`run-${index}`)], { count: 10, ageMs: 60_000 });
    // Others take buffers meanwhile, and let go of them.
    Buffer.allocUnsafe(2_000);
    const { hashes, times } = added.toHeaders();
    kept.push(added, AppliedKeys.parse(hashes, times));
  }
  const counted = kept.reduce((sum, keys) => sum + keys.bytes, 0);
  expect(held() - before).toBeLessThan(2 * counted);
});
