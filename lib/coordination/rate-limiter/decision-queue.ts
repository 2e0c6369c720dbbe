import { AbortListeners } from '../../common/abort-listeners.js';
import {
  CancelledError,
  EncodeError,
  OperationTimeoutError,
  OutcomeUnknownError,
  OverloadedError,
} from '../../common/errors.js';
import { SlotMap } from '../../common/slot-map.js';
import { Ask, KeyDecision, type Outcome, type Taker } from './key-decision.js';
import type { LimitStates } from './limit-states.js';
import type { Quota } from './quota.js';

/** Decisions that one write may hold: bounds how long they take the event loop. */
const MAX_BATCH = 4_096;
/** Decisions that may wait: bounds the memory that they take while the server is away. */
const MAX_WAITING = 100_000;

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
  private readonly idle: (() => void)[] = [];
  /** Decisions that are not made yet. */
  private waiting = 0;
  private readonly onSettled = (): void => {
    this.waiting -= 1;
  };
  private readonly signals = new AbortListeners<Ask>((ask, signal) =>
    ask.reject(new CancelledError('A decision of a rate limit', { cause: signal.reason })),
  );

  constructor(
    private readonly quota: Quota,
    private readonly now: () => number,
    private readonly states: Pick<LimitStates, 'laneOf' | 'change'>,
    private readonly timeoutMs: number,
  ) {}

  /**
   * Decides what `take` takes.
   *
   * @param answer what the caller gets, without a promise of its own: these come by the hundred thousand
   * @throws CancelledError at once when `signal` aborts; units may be used all the same. OverloadedError when too many wait. What
   * changing the state throws.
   */
  ask<T>(key: string, take: Taker, answer: (outcome: Outcome) => T, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const ask = new Ask(key, take, (outcome) => resolve(answer(outcome)), reject, this.onSettled);
      if (signal?.aborted === true)
        return reject(new CancelledError('A decision of a rate limit', { cause: signal.reason }));
      if (this.waiting >= MAX_WAITING)
        throw new OverloadedError(
          `${this.waiting} decisions of a rate limiter wait. Await some before asking for more, or deny early.`,
        );
      this.waiting += 1;
      if (signal !== undefined) ask.unlisten = this.signals.add(signal, ask);
      this.add(this.states.laneOf(key), ask);
    });
  }

  /** Resolves when nothing waits. */
  async drain(): Promise<void> {
    if (this.lines.size > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
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
    if (this.lines.size === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  private decide(lane: string, line: Line, decisions: readonly KeyDecision[]): void {
    this.make(lane, decisions).then(
      () => this.next(lane, line),
      (error: unknown) => {
        for (const { asks } of decisions) for (const ask of asks) ask.reject(error);
        this.giveUp(line, error);
        this.next(lane, line);
      },
    );
  }

  /** Makes decisions by one change; by several, where one message does not hold all of them. */
  private async make(lane: string, decisions: readonly KeyDecision[]): Promise<void> {
    try {
      await this.states.change(lane, (states) => {
        const now = this.now();
        for (const decision of decisions) decision.decide(states, this.quota, now);
      });
    } catch (error) {
      if (!(error instanceof EncodeError) || decisions.length === 1) throw error;
      const half = decisions.length >> 1;
      await this.make(lane, decisions.slice(0, half));
      return this.make(lane, decisions.slice(half));
    }
    for (const decision of decisions) decision.settle();
  }

  /** Those who have waited for others as long as an answer is waited for do not wait as long again. */
  private giveUp(line: Line, error: unknown): void {
    const isLate = error instanceof OperationTimeoutError || error instanceof OutcomeUnknownError;
    if (!isLate) return;
    const latest = performance.now() - this.timeoutMs;
    for (const ask of line.waiting)
      if (ask.askedAt <= latest) ask.reject(new OperationTimeoutError('A decision of a rate limit', this.timeoutMs));
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
