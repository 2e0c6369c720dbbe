import type { ObjectStore } from '../../../lib/store/engine/object-store.js';
import type { Tallies } from './store-fixture.js';

/** Keys. */
export const [a, b, c] = [{ id: 'a' }, { id: 'b' }, { id: 'c' }];
/** The counts of keys, in their order. */
export const counts = async (store: ObjectStore<Tallies>, ...keys: { id: string }[]): Promise<(number | undefined)[]> =>
  (await store.readMany(keys)).map((state) => state?.count);

/** Moves an amount from one key to the other. */
export function move(store: ObjectStore<Tallies>, from: { id: string }, to: { id: string }, amount: number) {
  return store.transaction([from, to], ([one, other]) => {
    one!.count -= amount;
    other!.count += amount;
  });
}
