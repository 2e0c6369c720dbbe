import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { AbortListeners } from '../../common/abort-listeners.js';
import { CancelledError } from '../../common/errors.js';
import { SlotMap } from '../../common/slot-map.js';
import type { Quota } from './quota.js';

/** Decisions that one write may hold: bounds how long they take the event loop. */
const MAX_BATCH = 4_096;

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

/** Applies a function to a key's state, and stores what it has changed; runs it again when another process came first. */
export type ChangeState = (
  key: string,
  change: (state: RateLimitState | undefined) => { kind: 'write'; state: RateLimitState } | { kind: 'keep' },
) => Promise<unknown>;

// What is on its way is made by classes, not by literals. Nearly all of it is alive at the first few collections of a busy
// process, from which V8 learns to make what a literal stands for in old space; there it would keep alive whatever it holds.

/** Somebody who waits for a decision. */
class Ask {
  settled = false;
  /** Ends listening to the caller's signal. */
  unlisten: (() => void) | undefined;

  constructor(
    readonly take: Taker,
    readonly resolve: (outcome: Outcome) => void,
    readonly reject: (error: unknown) => void,
  ) {}
}

/** The decisions of one key that wait while others are being made. */
class Line {
  waiting: Ask[];

  constructor(first: Ask) {
    this.waiting = Array.of(first);
  }
}

const SOON = Promise.resolve();

/**
 * Makes the decisions of a limiter's keys: those of one key that are asked for while others are on their way are made together, in
 * their order, by one change of the state. When nobody takes anything, nothing is written; the state is read from the leader.
 */
export class DecisionQueue {
  private readonly lines = new SlotMap<string, Line>();
  private readonly signals = new AbortListeners<Ask>((ask, signal) => {
    settle(ask)?.reject(new CancelledError('A decision of a rate limit', { cause: signal.reason }));
  });

  constructor(
    private readonly quota: Quota,
    private readonly now: () => number,
    private readonly change: ChangeState,
  ) {}

  /**
   * Decides what `take` takes.
   *
   * @param answer what the caller gets, without a promise of its own: these come by the hundred thousand
   * @throws CancelledError at once when `signal` aborts; units may be used all the same. What changing the state throws.
   */
  ask<T>(key: string, take: Taker, answer: (outcome: Outcome) => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const ask = new Ask(take, (outcome) => resolve(answer(outcome)), reject);
      if (signal?.aborted === true)
        return reject(new CancelledError('A decision of a rate limit', { cause: signal.reason }));
      if (signal !== undefined) ask.unlisten = this.signals.add(signal, ask);
      this.add(key, ask);
    });
  }

  private add(key: string, ask: Ask): void {
    const line = this.lines.get(key);
    if (line !== undefined) {
      line.waiting.push(ask);
      return;
    }
    const begun = new Line(ask);
    this.lines.set(key, begun);
    // Whatever is asked for in the same tick is decided together.
    void SOON.then(() => this.next(key, begun));
  }

  private next(key: string, line: Line): void {
    const asks = line.waiting.length > MAX_BATCH ? line.waiting.splice(0, MAX_BATCH) : line.waiting;
    if (asks === line.waiting) line.waiting = [];
    const open = asks.every(isOpen) ? asks : asks.filter(isOpen);
    if (open.length > 0) return this.decide(key, line, open);
    if (line.waiting.length > 0) return this.next(key, line);
    this.lines.delete(key);
  }

  private decide(key: string, line: Line, asks: readonly Ask[]): void {
    let taken: number[] = [];
    let state: RateLimitState | undefined;
    let decidedAtMs = 0;
    const changed = this.change(key, (before) => {
      state = before === undefined ? this.quota.unused() : this.quota.fit(before);
      decidedAtMs = this.quota.present(state, this.now());
      taken = this.takeAll(asks, state, decidedAtMs);
      return taken.some(isSome) ? { kind: 'write', state } : { kind: 'keep' };
    });
    changed.then(
      () => {
        const decided = state ?? this.quota.unused();
        for (let index = 0; index < asks.length; index++)
          settle(asks[index] as Ask)?.resolve({ taken: taken[index] ?? 0, state: decided, decidedAtMs });
        this.next(key, line);
      },
      (error: unknown) => {
        for (const ask of asks) settle(ask)?.reject(error);
        this.next(key, line);
      },
    );
  }

  private takeAll(asks: readonly Ask[], state: RateLimitState, now: number): number[] {
    const before = this.quota.available(state, now);
    let available = before;
    const taken = asks.map(({ take, settled }) => {
      // Whoever has given up in the meantime takes nothing.
      const units = settled ? 0 : take(available);
      available -= units;
      return units;
    });
    // All of it at once: every algorithm counts units of one moment like that.
    if (available < before) this.quota.add(state, now, before - available);
    return taken;
  }
}

/** @returns the ask, to be told its end; `undefined` when it had one before. */
function settle(ask: Ask): Ask | undefined {
  if (ask.settled) return undefined;
  ask.settled = true;
  ask.unlisten?.();
  return ask;
}

function isOpen({ settled }: Ask): boolean {
  return !settled;
}

function isSome(units: number): boolean {
  return units > 0;
}
