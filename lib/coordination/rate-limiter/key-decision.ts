import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import type { ChangingStates } from './limit-states.js';
import type { Quota } from './quota.js';

/** How many of the units that are available somebody takes: a whole number up to that, or 0. May be asked several times; the last counts. */
export type Taker = (available: number) => number;

/** What came of a decision. */
export interface Outcome {
  readonly taken: number;
  /** The state after the decisions that were made together with this one; not to be changed. */
  readonly state: RateLimitState;
  /** When it was decided, by the server's clock. */
  readonly decidedAtMs: number;
}

// What is on its way is made by classes, not by literals. Nearly all of it is alive at the first few collections of a busy
// process, from which V8 learns to make what a literal stands for in old space; there it would keep alive whatever it holds.

/** Somebody who waits for a decision. */
export class Ask {
  settled = false;
  /** By the performance clock. */
  readonly askedAt = performance.now();
  /** Ends listening to the caller's signal. */
  unlisten: (() => void) | undefined;

  constructor(
    readonly key: string,
    readonly take: Taker,
    private readonly onOutcome: (outcome: Outcome) => void,
    private readonly onError: (error: unknown) => void,
    private readonly onSettled: () => void,
  ) {}

  resolve(outcome: Outcome): void {
    if (!this.settle()) return;
    try {
      this.onOutcome(outcome);
    } catch (error) {
      // Only this one's answer could not be made; others wait behind it.
      this.onError(error);
    }
  }

  reject(error: unknown): void {
    if (this.settle()) this.onError(error);
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.unlisten?.();
    this.onSettled();
    return true;
  }
}

/** The decisions about one key that are made together. */
export class KeyDecision {
  private taken: readonly number[] = [];
  private state: RateLimitState | undefined;
  private decidedAtMs = 0;
  private error: unknown;

  constructor(
    private readonly key: string,
    readonly asks: Ask[],
  ) {}

  /** Decides by the state that is there, and changes it. What goes wrong is told to those who have asked about this key. */
  decide(states: ChangingStates, quota: Quota, now: number): void {
    try {
      this.error = undefined;
      const before = states.get(this.key);
      const state = before === undefined ? quota.unused() : quota.fit(before);
      this.decidedAtMs = quota.present(state, now);
      this.taken = takeAll(quota, this.asks, state, this.decidedAtMs);
      this.state = state;
      if (this.taken.some(isSome)) states.put(this.key, state);
    } catch (error) {
      this.error = error;
    }
  }

  /** Tells the outcome, once it is stored. */
  settle(): void {
    const { asks, taken, state, decidedAtMs, error } = this;
    for (let index = 0; index < asks.length; index++) {
      const ask = asks[index] as Ask;
      if (state === undefined || error !== undefined) ask.reject(error);
      else ask.resolve({ taken: taken[index] ?? 0, state, decidedAtMs });
    }
  }
}

function takeAll(quota: Quota, asks: readonly Ask[], state: RateLimitState, now: number): number[] {
  const before = quota.available(state, now);
  let available = before;
  const taken = asks.map(({ take, settled }) => {
    // Whoever has given up in the meantime takes nothing.
    const units = settled ? 0 : take(available);
    available -= units;
    return units;
  });
  // All of it at once: every algorithm counts units of one moment like that.
  if (available < before) quota.add(state, now, before - available);
  return taken;
}

function isSome(units: number): boolean {
  return units > 0;
}
