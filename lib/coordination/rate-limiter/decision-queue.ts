import { AbortListeners } from '../../common/abort-listeners.js';
import { CancelledError } from '../../common/errors.js';
import { SlotMap } from '../../common/slot-map.js';
import { Ask, KeyDecision, type Outcome, type Taker } from './key-decision.js';
import type { LimitStates } from './limit-states.js';
import type { Quota } from './quota.js';

/** Decisions that one write may hold: bounds how long they take the event loop. */
const MAX_BATCH = 4_096;

/** The decisions of one lane that wait while others are being made. */
class Line {
  waiting: Ask[];

  constructor(first: Ask) {
    this.waiting = Array.of(first);
  }
}

const SOON = Promise.resolve();

/**
 * Makes the decisions of a limiter's keys: those of one lane that are asked for while others are on their way are made together, in
 * their order, by one change of the states. When nobody takes anything, nothing is written; the states are read from the leader.
 */
export class DecisionQueue {
  private readonly lines = new SlotMap<string, Line>();
  private readonly signals = new AbortListeners<Ask>((ask, signal) =>
    ask.reject(new CancelledError('A decision of a rate limit', { cause: signal.reason })),
  );

  constructor(
    private readonly quota: Quota,
    private readonly now: () => number,
    private readonly states: Pick<LimitStates, 'laneOf' | 'change'>,
  ) {}

  /**
   * Decides what `take` takes.
   *
   * @param answer what the caller gets, without a promise of its own: these come by the hundred thousand
   * @throws CancelledError at once when `signal` aborts; units may be used all the same. What changing the state throws.
   */
  ask<T>(key: string, take: Taker, answer: (outcome: Outcome) => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const ask = new Ask(key, take, (outcome) => resolve(answer(outcome)), reject);
      if (signal?.aborted === true)
        return reject(new CancelledError('A decision of a rate limit', { cause: signal.reason }));
      if (signal !== undefined) ask.unlisten = this.signals.add(signal, ask);
      this.add(this.states.laneOf(key), ask);
    });
  }

  private add(lane: string, ask: Ask): void {
    const line = this.lines.get(lane);
    if (line !== undefined) {
      line.waiting.push(ask);
      return;
    }
    const begun = new Line(ask);
    this.lines.set(lane, begun);
    // Whatever is asked for in the same tick is decided together.
    void SOON.then(() => this.next(lane, begun));
  }

  private next(lane: string, line: Line): void {
    const asks = line.waiting.length > MAX_BATCH ? line.waiting.splice(0, MAX_BATCH) : line.waiting;
    if (asks === line.waiting) line.waiting = [];
    const open = asks.every(isOpen) ? asks : asks.filter(isOpen);
    if (open.length > 0) return this.decide(lane, line, byKey(open));
    if (line.waiting.length > 0) return this.next(lane, line);
    this.lines.delete(lane);
  }

  private decide(lane: string, line: Line, decisions: readonly KeyDecision[]): void {
    const changed = this.states.change(lane, (states) => {
      const now = this.now();
      for (const decision of decisions) decision.decide(states, this.quota, now);
    });
    changed.then(
      () => {
        for (const decision of decisions) decision.settle();
        this.next(lane, line);
      },
      (error: unknown) => {
        for (const { asks } of decisions) for (const ask of asks) ask.reject(error);
        this.next(lane, line);
      },
    );
  }
}

function isOpen({ settled }: Ask): boolean {
  return !settled;
}

/** In the order in which the keys come. */
function byKey(asks: Ask[]): KeyDecision[] {
  const [{ key } = { key: '' }] = asks;
  // Often it is one.
  if (asks.every((ask) => ask.key === key)) return Array.of(new KeyDecision(key, asks));
  const decisions = new Map<string, KeyDecision>();
  for (const ask of asks) {
    const present = decisions.get(ask.key);
    if (present === undefined) decisions.set(ask.key, new KeyDecision(ask.key, Array.of(ask)));
    else present.asks.push(ask);
  }
  return [...decisions.values()];
}
