/** Events waiting beyond this number are thinned out: only the newest of each key is kept. */
const THIN_FROM = 1_024;

interface Item<T> {
  readonly key: string | undefined;
  readonly value: T;
}

/**
 * Holds what a producer gives until a consumer takes it. Its length is bounded by the number of keys: when the consumer
 * is far behind, an older event of a key gives way to a newer one, and events without a key always stay.
 */
export class EventQueue<T> {
  private items: Item<T>[] = [];
  private head = 0;
  private thinAt = THIN_FROM;
  private ended: { readonly error: Error | undefined } | undefined;
  private wake: (() => void) | undefined;

  push(key: string | undefined, value: T): void {
    if (this.ended !== undefined) return;
    this.items.push({ key, value });
    if (this.items.length - this.head >= this.thinAt) this.thin();
    this.wake?.();
  }

  /** No more events. What waits is still taken, then the consumer sees `error`, or the end. */
  end(error?: Error): void {
    this.ended ??= { error };
    this.wake?.();
  }

  /** Throws away what waits. */
  clear(): void {
    this.items = [];
    this.head = 0;
    this.thinAt = THIN_FROM;
  }

  /** The next event; `undefined` at the end. One call at a time. @throws the error given to {@link end}. */
  async take(): Promise<T | undefined> {
    for (;;) {
      const item = this.items[this.head];
      if (item !== undefined) {
        this.head += 1;
        if (this.head === this.items.length) this.clear();
        return item.value;
      }
      if (this.ended?.error !== undefined) throw this.ended.error;
      if (this.ended !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
  }

  private thin(): void {
    const newest = new Map<string, Item<T>>();
    const waiting = this.items.slice(this.head);
    for (const item of waiting) if (item.key !== undefined) newest.set(item.key, item);
    this.items = waiting.filter((item) => item.key === undefined || newest.get(item.key) === item);
    this.head = 0;
    this.thinAt = Math.max(THIN_FROM, this.items.length * 2);
  }
}
