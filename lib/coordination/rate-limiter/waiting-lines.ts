import { onAbort } from '../../common/abort-listeners.js';
import { CancelledError, ConnectionError } from '../../common/errors.js';
import type { RateLimitDecision } from './rate-limit-decision.js';

/** Longest time that a timer takes. */
const LONGEST_MS = 2_147_483_647;
/** What decides in the server's place does not know when it is back, nor what it has. */
const LONGEST_FALLBACK_MS = 1_000;

interface Waiter {
  readonly cost: number;
  readonly resolve: (decision: RateLimitDecision) => void;
  readonly reject: (error: unknown) => void;
  settled: boolean;
}

/** What an attempt to serve a line came to. */
export interface Attempt {
  /** How many were served, from the front. */
  readonly served: number;
  readonly decision: RateLimitDecision;
}

/** Tries to use units for those at the front of a line, in their order, until one does not get its own. */
export type Serve = (key: string, costs: readonly number[]) => Promise<Attempt>;

interface Line {
  waiters: Waiter[];
  timer: NodeJS.Timeout | undefined;
}

/** Those of one process who wait for units, a line per key: first come, first served. */
export class WaitingLines {
  private readonly lines = new Map<string, Line>();
  private closed = false;
  private readonly unlisten: () => void;

  /** @param stopping when it aborts, nobody waits any more: who does is rejected, and who comes is served at once or rejected */
  constructor(
    private readonly limiter: string,
    private readonly serve: Serve,
    private readonly stopping: AbortSignal,
  ) {
    this.unlisten = onAbort(stopping, () => this.stop());
  }

  /**
   * Resolves once the units are used.
   *
   * @throws CancelledError when `signal` aborts, ConnectionError after {@link close} or when nobody waits any more, what serving
   * throws.
   */
  wait(key: string, cost: number, signal: AbortSignal | undefined): Promise<RateLimitDecision> {
    return new Promise((resolve, reject) => {
      const fail: (error: unknown) => void = reject;
      if (this.closed) throw this.closedError();
      const what = `Waiting for "${key}" of rate limiter "${this.limiter}"`;
      if (signal?.aborted === true) throw new CancelledError(what, { cause: signal.reason });
      const waiter: Waiter = {
        cost,
        settled: false,
        resolve: (decision) => settle(() => resolve(decision)),
        reject: (error) => settle(() => fail(error)),
      };
      const settle = (tell: () => void): void => {
        if (waiter.settled) return;
        waiter.settled = true;
        unlisten?.();
        tell();
      };
      const unlisten =
        signal &&
        onAbort(signal, () => {
          waiter.reject(new CancelledError(what, { cause: signal.reason }));
          // Another may be at the front of the line now, who needs less; but not one who gives up with this one.
          queueMicrotask(() => this.wake(key));
        });
      this.enter(key, waiter);
    });
  }

  /** Tries again now: something has changed. */
  wake(key: string): void {
    const line = this.lines.get(key);
    if (line?.timer === undefined) return;
    clearTimeout(line.timer);
    line.timer = undefined;
    void this.run(key, line);
  }

  close(): void {
    this.closed = true;
    this.unlisten();
    for (const { waiters, timer } of this.lines.values()) {
      clearTimeout(timer);
      for (const waiter of waiters) waiter.reject(this.closedError());
    }
    this.lines.clear();
  }

  /** Those in front of whom somebody was denied go; others learn from the attempt that is under way. */
  private stop(): void {
    for (const [key, line] of this.lines) if (line.timer !== undefined) this.dismiss(key, line);
  }

  private dismiss(key: string, { waiters, timer }: Line): void {
    clearTimeout(timer);
    this.lines.delete(key);
    const what = `Waiting for "${key}" of rate limiter "${this.limiter}"`;
    for (const waiter of waiters) waiter.reject(new ConnectionError(`${what}: the application stops.`));
  }

  private enter(key: string, waiter: Waiter): void {
    const line = this.lines.get(key);
    if (line !== undefined) {
      line.waiters.push(waiter);
      return;
    }
    const opened: Line = { waiters: [waiter], timer: undefined };
    this.lines.set(key, opened);
    void this.run(key, opened);
  }

  /** Never rejects. */
  private async run(key: string, line: Line): Promise<void> {
    for (;;) {
      line.waiters = line.waiters.filter(({ settled }) => !settled);
      const asking = line.waiters;
      if (asking.length === 0) {
        this.lines.delete(key);
        return;
      }
      const attempt = await this.attempt(key, asking);
      if (this.closed) return;
      // The pause is for whoever was at the front.
      if (attempt === undefined || attempt.served > 0 || asking[0]?.settled === true) continue;
      if (this.stopping.aborted) {
        this.dismiss(key, line);
        return;
      }
      const { source, retryAfterMs } = attempt.decision;
      const longestMs = source === 'fallback' ? LONGEST_FALLBACK_MS : LONGEST_MS;
      const pauseMs = Math.min(LONGEST_MS, pauseAfter(Math.min(retryAfterMs, longestMs)));
      line.timer = setTimeout(() => {
        line.timer = undefined;
        void this.run(key, line);
      }, pauseMs);
      return;
    }
  }

  private async attempt(key: string, asking: readonly Waiter[]): Promise<Attempt | undefined> {
    try {
      const costs = asking.map(({ cost }) => cost);
      const attempt = await this.serve(key, costs);
      for (const waiter of asking.slice(0, attempt.served)) waiter.resolve(attempt.decision);
      return attempt;
    } catch (error) {
      for (const waiter of asking) waiter.reject(error);
      return undefined;
    }
  }

  private closedError(): ConnectionError {
    return new ConnectionError(`Rate limiter "${this.limiter}" is closed.`);
  }
}

/** A little more than told: of several processes that wait for the same unit, not all shall ask at once. */
function pauseAfter(retryAfterMs: number): number {
  return Math.max(1, retryAfterMs + Math.random() * Math.min(25, retryAfterMs / 10));
}
