import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SlotMap } from '../../../lib/common/slot-map.js';

it('does what a Map does, in the same order', () => {
  const key = fc.nat(5);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), key, value: fc.nat() }),
    fc.record({ kind: fc.constant('delete' as const), key }),
    fc.record({ kind: fc.constant('get' as const), key }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const model = new Map<number, number>();
      const map = new SlotMap<number, number>();
      for (const one of steps) {
        if (one.kind === 'get') expect(map.get(one.key)).toBe(model.get(one.key));
        else if (one.kind === 'delete') expect(map.delete(one.key)).toBe(model.delete(one.key));
        else {
          model.set(one.key, one.value);
          map.set(one.key, one.value);
        }
        expect(map.size).toBe(model.size);
        expect([...map.values()]).toEqual([...model.values()]);
      }
    }),
  );
});

it('leaves nothing out of those that are there while they are gone through and others go', () => {
  const map = new SlotMap<string, string>();
  for (const name of ['a', 'b', 'c']) map.set(name, name);
  const seen: string[] = [];
  for (const value of map.values()) {
    seen.push(value);
    map.delete(value);
    if (value === 'a') map.set('d', 'd');
  }
  expect(seen).toEqual(['a', 'b', 'c', 'd']);
  expect(map.size).toBe(0);
});
