/** From this number of waiting events on a consumer is far behind. */
const MANY = 1_024;

interface Item<T> {
  readonly key: string | undefined;
  readonly value: T;
}

/** What becomes of events that wait for a consumer that is far behind. */
export interface EventQueueOptions {
  /**
   * `true`: an older event of a key gives way to a newer one, so that the length is bounded by the number of keys.
   * `false`: all stay, and the producer has to wait, see {@link EventQueue.room}.
   */
  readonly thins: boolean;
}

/**
 * Holds what a producer gives until a consumer takes it. Events without a key always stay, and nothing is moved over
 * them: what was given before one gives way only to what was given before it too.
 */
export class EventQueue<T> {
  private items: Item<T>[] = [];
  private head = 0;
  private thinAt = MANY;
  private ended: { readonly error: Error | undefined } | undefined;
  private wake: (() => void) | undefined;
  private producers: (() => void)[] = [];

  constructor(private readonly options: EventQueueOptions) {}

  push(key: string | undefined, value: T): void {
    if (this.ended !== undefined) return;
    this.items.push({ key, value });
    if (this.options.thins && this.waiting >= this.thinAt) this.thin();
    this.wake?.();
  }

  /** No more events. What waits is still taken, then the consumer sees `error`, or the end. */
  end(error?: Error): void {
    this.ended ??= { error };
    this.wake?.();
    this.goOn();
  }

  /** Throws away what waits. */
  clear(): void {
    this.items = [];
    this.head = 0;
    this.thinAt = MANY;
    this.goOn();
  }

  /** Resolves when there is room for more; `undefined` when there is. What is pushed without room waits all the same. */
  room(): Promise<void> | undefined {
    if (this.waiting < MANY || this.ended !== undefined) return undefined;
    return new Promise((resolve) => this.producers.push(resolve));
  }

  /** The next event; `undefined` at the end. One call at a time. @throws the error given to {@link end}. */
  async take(): Promise<T | undefined> {
    for (;;) {
      const item = this.items[this.head];
      if (item !== undefined) {
        this.head += 1;
        if (this.head === this.items.length) this.clear();
        else if (this.head >= MANY && this.head * 2 >= this.items.length) this.compact();
        if (this.producers.length > 0 && this.waiting <= MANY / 2) this.goOn();
        return item.value;
      }
      if (this.ended?.error !== undefined) throw this.ended.error;
      if (this.ended !== undefined) return undefined;
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
  }

  private get waiting(): number {
    return this.items.length - this.head;
  }

  /** Lets go of what has been taken. */
  private compact(): void {
    this.items = this.items.slice(this.head);
    this.head = 0;
  }

  private goOn(): void {
    for (const resolve of this.producers.splice(0)) resolve();
  }

  private thin(): void {
    const seen = new Set<string>();
    const kept: Item<T>[] = [];
    for (let index = this.items.length - 1; index >= this.head; index--) {
      const item = this.items[index] as Item<T>;
      if (item.key === undefined) seen.clear();
      else if (seen.has(item.key)) continue;
      else seen.add(item.key);
      kept.push(item);
    }
    this.items = kept.reverse();
    this.head = 0;
    this.thinAt = Math.max(MANY, this.items.length * 2);
  }
}
