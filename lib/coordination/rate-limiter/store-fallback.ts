import { CancelledError, ConfigurationError, FlowError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { StandInLog } from '../stand-in-log.js';
import { RateLimitDecision } from './rate-limit-decision.js';
import type { FallbackLimiter, ResolvedRateLimiter } from './rate-limiter.options.js';

/** What to wait for a server that does not answer, when it is not known. */
const RETRY_MS = 1_000;

/** What is asked of a limiter: to use units, or whether it would. */
export type Question = 'consume' | 'peek';

/** Decides while the server does not answer, as `onStoreError` says, and logs once that it does, and that it has ended. */
export class StoreFallback {
  private readonly log: StandInLog;

  constructor(
    private readonly options: Pick<ResolvedRateLimiter, 'name' | 'onStoreError' | 'limits'>,
    log: Log,
  ) {
    this.log = new StandInLog(`Rate limiter "${options.name}"`, log);
  }

  /** Whether something else than the server may decide. */
  get decides(): boolean {
    return this.options.onStoreError !== 'throw';
  }

  /**
   * The decision in place of the one that failed with `error`.
   *
   * @throws the error itself, when it is not the server's absence, or nobody else can answer the question.
   */
  async decide(question: Question, key: string, cost: number, error: unknown): Promise<RateLimitDecision> {
    const { onStoreError } = this.options;
    if (onStoreError === 'throw' || !isAbsence(error)) throw error;
    if (typeof onStoreError === 'string') {
      this.log.standsIn(`"${onStoreError}"`, error);
      return this.constant(onStoreError === 'allow');
    }
    const ask = onStoreError[question]?.bind(onStoreError);
    if (ask === undefined) throw error;
    this.log.standsIn('the limiter of onStoreError', error);
    return this.ask(ask, key, cost);
  }

  /** The server has answered. */
  answered(): void {
    this.log.answered();
  }

  /** One that does not count need not know of limits: without any, its answer is told as that of "allow" or "deny" is. */
  private async ask(ask: FallbackLimiter['consume'], key: string, cost: number): Promise<RateLimitDecision> {
    try {
      const { allowed, limits } = await ask(key, { cost });
      if (limits.length === 0) return this.constant(allowed);
      return new RateLimitDecision(allowed, 'fallback', Date.now(), { limits: () => limits });
    } catch (error) {
      // It may be made for less than what is asked for.
      if (error instanceof ConfigurationError) return this.constant(false);
      throw error;
    }
  }

  private constant(allowed: boolean): RateLimitDecision {
    const retryAfterMs = allowed ? 0 : RETRY_MS;
    const limits = this.options.limits.map(({ name, limit, windowMs, burst }) => ({
      name,
      limit,
      windowMs,
      remaining: allowed ? burst : 0,
      resetAfterMs: retryAfterMs,
      retryAfterMs,
    }));
    return new RateLimitDecision(allowed, 'fallback', Date.now(), { limits: () => limits });
  }
}

/** Whether a decision failed since the server did not make it; else it was cancelled, or asked for wrongly. */
export function isAbsence(error: unknown): boolean {
  return error instanceof FlowError && !(error instanceof CancelledError) && !(error instanceof ConfigurationError);
}
