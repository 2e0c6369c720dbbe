/** Longest time that a timer takes. */
const LONGEST_MS = 2_147_483_647;
/** How much later than told servers forget: their clocks differ, and they look from time to time. */
const MARGIN_MS = 250;
/** Between two looks at an entry that outlives its time, as in a bucket that was made with a longer one: at most. */
const LONGEST_PAUSE_MS = 5_000;

/** Where the server's clock is to be had; `EventualClock` is one. */
interface ClockSource {
  tell(listener: (clock: { now(): number }) => void): Disposable;
}

/** Wakes when an entry should have expired; of its expiry by age, a server tells no watch. */
export class ExpiryAlarm implements Disposable {
  private timer: NodeJS.Timeout | undefined;
  private created: number | undefined;
  private clock: { now(): number } | undefined;
  private disposed = false;

  private readonly listening: Disposable;

  /**
   * @param ttlMs after its last write an entry is forgotten
   * @param source before it tells of the clock, an entry counts as new when it is seen: the alarm wakes late, not never
   */
  constructor(
    private readonly ttlMs: number,
    source: ClockSource,
    private readonly wake: () => void,
  ) {
    this.listening = source.tell((clock) => {
      this.clock = clock;
      this.arm();
    });
  }

  /** The entry was written then. */
  set(created: Date): void {
    this.created = created.getTime();
    this.arm();
  }

  [Symbol.dispose](): void {
    this.disposed = true;
    this.listening[Symbol.dispose]();
    clearTimeout(this.timer);
  }

  private arm(): void {
    if (this.disposed || this.created === undefined) return;
    clearTimeout(this.timer);
    const ageMs = this.clock === undefined ? 0 : this.clock.now() - this.created;
    const leftMs = this.ttlMs + MARGIN_MS - ageMs;
    // Long ago by now: once more, in as long as it is over its time.
    const pauseMs = leftMs > 0 ? leftMs : Math.min(LONGEST_PAUSE_MS, Math.max(MARGIN_MS, -leftMs));
    this.timer = setTimeout(this.wake, Math.min(LONGEST_MS, pauseMs)).unref();
  }
}
