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
  /**
   * Milliseconds until more than `remaining` can be used, if nothing is used in between; 0 when there is no more.
   * @default `resetAfterMs`
   */
  readonly moreAfterMs?: number;
}

/** Where a decision was made. */
export type DecisionSource = 'store' | 'leased' | 'blocked' | 'fallback';

/** What a decision is told from, when somebody asks for more than whether it is allowed. */
export interface DecisionView {
  /**
   * Every limit, in the order of the options; at least one.
   *
   * @param now when it was decided
   * @param wanted units that were asked for and not given; 0 when they were
   * @param held units that the process holds beside what the view says
   */
  limits(now: number, wanted: number, held: number): readonly LimitStatus[];
}

/**
 * What a limiter decided. With several limits, `limit`, `remaining` and the times are those of the limit that decides: the one to
 * wait for longest, or of which least is left.
 */
export class RateLimitDecision {
  private statuses: readonly LimitStatus[] | undefined;

  /** @internal Made by limiters. */
  constructor(
    /** Whether it may be done; the units are used then. */
    readonly allowed: boolean,
    /** Who decided: the `store`, the process that holds `leased` units or knows that the key is `blocked`, or `onStoreError`. */
    readonly source: DecisionSource,
    private readonly decidedAtMs: number,
    private readonly view: DecisionView,
    private readonly wanted = 0,
    private readonly held = 0,
  ) {}

  /** Every limit of the limiter, in the order of the options. */
  get limits(): readonly LimitStatus[] {
    // Most callers only want to know whether it is allowed.
    return (this.statuses ??= this.view.limits(this.decidedAtMs, this.wanted, this.held));
  }

  /** Units per window. */
  get limit(): number {
    return this.deciding.limit;
  }

  /** Whole units that are left, from 0. */
  get remaining(): number {
    return this.deciding.remaining;
  }

  /** Milliseconds until the same would be allowed, if nothing is used in between; 0 when it is allowed. */
  get retryAfterMs(): number {
    return this.deciding.retryAfterMs;
  }

  /** Milliseconds until everything is available again, if nothing is used in between. */
  get resetAfterMs(): number {
    return this.deciding.resetAfterMs;
  }

  /** When everything is available again, if nothing is used in between; by the server's clock. */
  get resetAt(): Date {
    return new Date(this.decidedAtMs + this.resetAfterMs);
  }

  /** @internal Looks at the state now: it is about to change. */
  fixed(): this {
    this.statuses = this.limits;
    return this;
  }

  /** All of it, for logs. */
  toJSON(): object {
    const { allowed, source, limit, remaining, retryAfterMs, resetAfterMs, resetAt, limits } = this;
    return { allowed, source, limit, remaining, retryAfterMs, resetAfterMs, resetAt, limits };
  }

  private get deciding(): LimitStatus {
    return this.limits.reduce((one, other) => (decides(other, one) ? other : one));
  }
}

/** Whether of two limits the one allows less than the other: it is to be waited for longer, or has less left. */
export function decides(one: LimitStatus, other: LimitStatus): boolean {
  if (one.retryAfterMs !== other.retryAfterMs) return one.retryAfterMs > other.retryAfterMs;
  return one.remaining < other.remaining;
}
