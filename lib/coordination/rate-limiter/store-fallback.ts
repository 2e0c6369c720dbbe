import { describeThrown } from '../../common/describe-thrown.js';
import { CancelledError, ConfigurationError, FlowError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { RateLimitDecision } from './rate-limit-decision.js';
import type { FallbackLimiter, ResolvedRateLimiter } from './rate-limiter.options.js';

/** What to wait for a server that does not answer, when it is not known. */
const RETRY_MS = 1_000;

/** Decides while the server does not answer, as `onStoreError` says, and logs once that it does, and that it has ended. */
export class StoreFallback {
  private failing = false;

  constructor(
    private readonly options: Pick<ResolvedRateLimiter, 'name' | 'onStoreError' | 'limits'>,
    private readonly log: Log,
  ) {}

  /** Whether something else than the server may decide. */
  get decides(): boolean {
    return this.options.onStoreError !== 'throw';
  }

  /** The decision in place of the one that failed with `error`. @throws the error itself, when it is not the server's absence. */
  async decide(key: string, cost: number, error: unknown): Promise<RateLimitDecision> {
    const { onStoreError, name } = this.options;
    if (onStoreError === 'throw' || !isAbsence(error)) throw error;
    if (!this.failing) {
      this.failing = true;
      const means = typeof onStoreError === 'string' ? `"${onStoreError}"` : 'the limiter of onStoreError';
      this.log.warn(`Rate limiter "${name}" decides by ${means} until the server answers: ${describeThrown(error)}`);
    }
    if (typeof onStoreError !== 'string') {
      return this.ask(onStoreError, key, cost);
    }
    return this.constant(onStoreError === 'allow');
  }

  /** The server has answered. */
  answered(): void {
    if (!this.failing) return;
    this.failing = false;
    this.log.log(`Rate limiter "${this.options.name}" decides by the server again.`);
  }

  private async ask(limiter: FallbackLimiter, key: string, cost: number): Promise<RateLimitDecision> {
    try {
      const { allowed, limits } = await limiter.consume(key, { cost });
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
