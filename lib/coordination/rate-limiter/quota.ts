import { create } from '@bufbuild/protobuf';
import { LimitUseSchema, RateLimitStateSchema } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import type { LimitUse, RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { FixedWindow } from './algorithms/fixed-window.js';
import { Gcra } from './algorithms/gcra.js';
import type { Limit, LimitAlgorithm } from './algorithms/limit-algorithm.js';
import { SlidingLog } from './algorithms/sliding-log.js';
import { SlidingWindow } from './algorithms/sliding-window.js';
import { RateLimitDecision, type DecisionSource, type DecisionView, type LimitStatus } from './rate-limit-decision.js';

/** Uses of limits that other instances have, kept with a key: those of a version or two. */
const MOST_OTHERS = 8;

/** An algorithm that is handed only what it has made itself. */
type AnyAlgorithm = Omit<LimitAlgorithm<never>, 'unused'> & { unused(): unknown };

/** A limit with its algorithm, for what is used of it. */
interface Rule {
  readonly limit: Limit;
  /** As it is counted. */
  readonly windowMs: number;
  readonly algorithm: AnyAlgorithm;
  readonly kind: NonNullable<LimitUse['algorithm']['case']>;
}

/**
 * One or several limits as functions of a key's state: units are used of all of them, or of none. The state's time never goes
 * back, whatever clock hands it in. Pure.
 */
export class Quota {
  private readonly rules: readonly Rule[];
  /** Most units that can be available at once. */
  readonly capacity: number;
  /** Milliseconds after its last change from when a state certainly means nothing any more. */
  readonly retentionMs: number;

  /**
   * @param holdMs units may be used up to so many milliseconds after they were counted. Still no more than the limits are used in
   * any window: that much is held back.
   */
  constructor(
    readonly limits: readonly Limit[],
    holdMs = 0,
  ) {
    this.rules = limits.map((limit) => toRule(limit, holdMs));
    this.capacity = Math.min(...this.rules.map(({ algorithm }) => algorithm.capacity));
    this.retentionMs = Math.max(...this.rules.map(({ algorithm }) => algorithm.retentionMs));
  }

  /** The state of a key that nothing is known of. */
  unused(): RateLimitState {
    return this.fit(create(RateLimitStateSchema));
  }

  /**
   * Brings a state, perhaps of other options, into the form of these: what is used of these limits comes first, what is used of others
   * behind it. So instances with other options, as there are while a new version is rolled out, find their own counts again.
   */
  fit(state: RateLimitState): RateLimitState {
    if (this.rules.every((rule, index) => isUseOf(rule, state.limits[index]))) return state;
    const others = state.limits;
    const own = this.rules.map((rule) => {
      const index = others.findIndex((use) => isUseOf(rule, use));
      return others.splice(index, index < 0 ? 0 : 1)[0] ?? unusedOf(rule);
    });
    state.limits = [...own, ...others.slice(0, MOST_OTHERS)];
    return state;
  }

  /** The present for `state`: its own time when that is later. */
  present(state: RateLimitState, now: number): number {
    return Math.max(now, state.atMs);
  }

  /** Whole units that may be used now; negative after a penalty. */
  available(state: RateLimitState, now: number): number {
    const present = this.present(state, now);
    let least = Infinity;
    for (let index = 0; index < this.rules.length; index++) {
      const { algorithm } = this.rules[index] as Rule;
      least = Math.min(least, algorithm.available(useOf(state, index), present));
    }
    return least;
  }

  /** Counts units of every limit; negative ones are given back. */
  add(state: RateLimitState, now: number, units: number): void {
    const present = this.present(state, now);
    for (let index = 0; index < this.rules.length; index++) {
      const { algorithm } = this.rules[index] as Rule;
      algorithm.add(useOf(state, index), present, units);
    }
    state.atMs = present;
  }

  /** When what is allowed now must be used at the latest, for the end of a window not to be passed with it. */
  usableUntil(state: RateLimitState): number {
    let until = Infinity;
    this.rules.forEach(({ algorithm }, index) => {
      if (algorithm instanceof FixedWindow) until = Math.min(until, algorithm.endOf(useOf(state, index)));
    });
    return until;
  }

  /** What decisions on `state`, which must not change any more, are told from: one view for any number of them. */
  view(state: RateLimitState): StateView {
    return new StateView(this.rules, state);
  }

  /** The decision about `cost` units, which `state` holds already when they are allowed. */
  decision(
    state: RateLimitState,
    now: number,
    allowed: boolean,
    cost: number,
    source: DecisionSource = 'store',
  ): RateLimitDecision {
    const wanted = allowed ? 0 : cost;
    return new RateLimitDecision(allowed, source, this.present(state, now), this.view(state), wanted);
  }
}

/** What a state says of its limits; it must not change any more. */
export class StateView implements DecisionView {
  constructor(
    private readonly rules: readonly Rule[],
    private readonly state: RateLimitState,
  ) {}

  limits(now: number, wanted: number, held: number): readonly LimitStatus[] {
    return this.rules.map((rule, index) => statusOf(rule, useOf(this.state, index), now, wanted, held));
  }

  /** The decision to use some of the units that a process holds, with `held` left of them. */
  leased(now: number, held: number, source: DecisionSource): RateLimitDecision {
    return new RateLimitDecision(true, source, Math.max(now, this.state.atMs), this, 0, held);
  }
}

function toRule(limit: Limit, holdMs: number): Rule {
  const { windowMs, burst } = limit;
  switch (limit.algorithm) {
    case 'gcra': {
      const held = { ...limit, burst: burst - (limit.limit * holdMs) / windowMs };
      return { limit, windowMs, kind: 'gcra', algorithm: new Gcra(held) };
    }
    case 'fixed-window':
      return { limit, windowMs, kind: 'fixedWindow', algorithm: new FixedWindow(limit) };
    case 'sliding-window': {
      const longer = { ...limit, windowMs: windowMs + holdMs };
      return { limit, windowMs: longer.windowMs, kind: 'slidingWindow', algorithm: new SlidingWindow(longer) };
    }
    case 'sliding-log': {
      const longer = { ...limit, windowMs: windowMs + holdMs };
      return { limit, windowMs: longer.windowMs, kind: 'slidingLog', algorithm: new SlidingLog(longer) };
    }
  }
}

function isUseOf({ kind, windowMs }: Rule, use: LimitUse | undefined): boolean {
  return use?.algorithm.case === kind && use.windowMs === windowMs;
}

function unusedOf({ kind, windowMs, algorithm }: Rule): LimitUse {
  const unused = { case: kind, value: algorithm.unused() } as LimitUse['algorithm'];
  return create(LimitUseSchema, { windowMs, algorithm: unused });
}

/** `fit` has put the use of the rule's kind there. */
function useOf(state: RateLimitState, index: number): never {
  return state.limits[index]?.algorithm.value as never;
}

function statusOf({ limit, algorithm }: Rule, use: never, now: number, wanted: number, held: number): LimitStatus {
  const { capacity } = algorithm;
  const remaining = Math.max(0, Math.min(algorithm.available(use, now) + held, capacity));
  return {
    name: limit.name,
    limit: limit.limit,
    windowMs: limit.windowMs,
    remaining,
    resetAfterMs: Math.ceil(algorithm.resetAfter(use, now)),
    retryAfterMs: wanted === 0 ? 0 : algorithm.waitFor(use, now, wanted),
    moreAfterMs: remaining === capacity ? 0 : algorithm.waitFor(use, now, remaining + 1 - held),
  };
}
