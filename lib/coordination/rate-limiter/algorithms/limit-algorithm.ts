/** One limit: so many units per window. Checked, with defaults, in milliseconds. */
export interface Limit {
  /** Names the limit in header fields. */
  readonly name: string;
  readonly algorithm: AlgorithmName;
  readonly limit: number;
  readonly windowMs: number;
  /** Units that may be used at once. Of `gcra`; of the others it is the limit. */
  readonly burst: number;
}

/** How units are counted. */
export type AlgorithmName = 'gcra' | 'fixed-window' | 'sliding-window' | 'sliding-log';

/**
 * How units of one limit are counted, as functions of what is used (`use`, changed in place) and of the present (`now`, not before
 * any that was handed in with this `use`). All times are milliseconds of one clock. Pure otherwise.
 */
export interface LimitAlgorithm<Use> {
  /** Most units that can be available. */
  readonly capacity: number;
  /** Milliseconds after the last change from when `use` certainly means nothing any more. */
  readonly retentionMs: number;
  /** Nothing is used. */
  unused(): Use;
  /** Whole units that may be used now; negative after a penalty. */
  available(use: Use, now: number): number;
  /**
   * Counts units; negative ones are given back. May count more than are available: a penalty, which holds for one capacity
   * beyond the limit at most.
   */
  add(use: Use, now: number, units: number): void;
  /** Whole milliseconds until `cost` units, at most the capacity, are available, if nothing is used in between. */
  waitFor(use: Use, now: number, cost: number): number;
  /** Milliseconds until everything is available, if nothing is used in between. */
  resetAfter(use: Use, now: number): number;
}
