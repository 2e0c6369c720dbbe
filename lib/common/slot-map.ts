/**
 * A map for what comes and goes by the ten thousand per second. A `Map` grows out of its table again and again as entries are
 * deleted and added, and leaves the old one, full of them, to the garbage collector: one that has got old keeps everything in it
 * alive until the next full collection, so that what lives for a millisecond is copied, and gets old too. Here tables hold
 * numbers, and what is deleted is let go at once.
 */
export class SlotMap<K, V> {
  readonly #slots = new Map<K, number>();
  readonly #values: (V | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.size;
  }

  get(key: K): V | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined ? undefined : this.#values[slot];
  }

  set(key: K, value: V): void {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#free.pop() ?? this.#values.length;
      this.#slots.set(key, slot);
    }
    this.#values[slot] = value;
  }

  /** @returns whether there was one. */
  delete(key: K): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    this.#slots.delete(key);
    this.#values[slot] = undefined;
    this.#free.push(slot);
    return true;
  }

  /** In the order in which they came. */
  *values(): Generator<V> {
    for (const slot of this.#slots.values()) yield this.#values[slot] as V;
  }
}
