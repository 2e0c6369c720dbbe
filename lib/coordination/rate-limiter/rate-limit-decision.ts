/** How one limit of a limiter stands after a decision. */
export interface LimitStatus {
  /** As in the options; a limiter's only limit has the limiter's name. */
  readonly name: string;
  readonly limit: number;
  readonly windowMs: number;
  /** Whole units that are left, from 0. */
  readonly remaining: number;
  /** Milliseconds until everything is available again, if nothing is used in between. */
  readonly resetAfterMs: number;
  /** Milliseconds until this limit would allow what was asked for; 0 when it does. */
  readonly retryAfterMs: number;
}

/**
 * What a limiter decided. With several limits, `limit`, `remaining` and the times are those of the limit that decides: the one to
 * wait for longest, or of which least is left.
 */
export class RateLimitDecision {
  /** @internal Made by limiters. */
  constructor(
    /** Whether it may be done; the units are used then. */
    readonly allowed: boolean,
    /** Units per window. */
    readonly limit: number,
    /** Whole units that are left, from 0. */
    readonly remaining: number,
    /** Milliseconds until the same would be allowed, if nothing is used in between; 0 when it is allowed. */
    readonly retryAfterMs: number,
    /** Milliseconds until everything is available again, if nothing is used in between. */
    readonly resetAfterMs: number,
    /** By the server's clock, milliseconds since 1970. */
    private readonly decidedAtMs: number,
    /** Every limit of the limiter, in the order of the options. */
    readonly limits: readonly LimitStatus[],
    /** Who decided: the `store`, the process that holds `leased` units or knows that the key is `blocked`, or `onStoreError`. */
    readonly source: DecisionSource = 'store',
  ) {}

  /** When everything is available again, if nothing is used in between; by the server's clock. */
  get resetAt(): Date {
    return new Date(this.decidedAtMs + this.resetAfterMs);
  }
}

/** Where a decision was made. */
export type DecisionSource = 'store' | 'leased' | 'blocked' | 'fallback';
