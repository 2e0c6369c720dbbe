import { describeThrown } from '../../common/describe-thrown.js';
import type { Log } from '../../common/log.js';

/** Milliseconds since the epoch by the server's clock. */
export interface Clock {
  now(): number;
}

/** Somebody who is told of the clock. */
type Listener = (clock: Clock) => void;

/**
 * The server's clock for those who can do without it until it is measured. That is tried until it succeeds, as long as anybody
 * needs it; that it has failed is logged once, however many wait.
 */
export class EventualClock {
  private readonly listeners = new Set<Listener>();
  private clock: Clock | undefined;
  private measuring = false;
  private warned = false;

  /**
   * @param measure fails when the clock cannot be measured now
   * @param pause comes between two attempts
   * @param closed when it aborts, the clock is not asked for any more
   */
  constructor(
    private readonly measure: () => Promise<Clock>,
    private readonly pause: () => Promise<void>,
    private readonly closed: AbortSignal,
    private readonly log: Log,
  ) {}

  /** Tells `listener` of the clock, at once or later; until what this returns is disposed. */
  tell(listener: Listener): Disposable {
    if (this.clock !== undefined) listener(this.clock);
    else this.listeners.add(listener);
    if (!this.measuring) void this.measureSometime();
    return { [Symbol.dispose]: () => void this.listeners.delete(listener) };
  }

  private async measureSometime(): Promise<void> {
    this.measuring = true;
    while (this.listeners.size > 0 && !this.closed.aborted) {
      try {
        this.clock = await this.measure();
        for (const listener of this.listeners) listener(this.clock);
        this.listeners.clear();
      } catch (error) {
        this.warn(error);
        await this.pause();
      }
    }
    this.measuring = false;
  }

  private warn(error: unknown): void {
    if (this.warned || this.listeners.size === 0 || this.closed.aborted) return;
    this.warned = true;
    const late = 'Who waits at a wait group, latch or barrier may be told late that its key is forgotten';
    this.log.warn(`${late}: the server's clock could not be measured yet: ${describeThrown(error)}`);
  }
}
