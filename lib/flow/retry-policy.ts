import { halfJitterGenerator, noJitterGenerator } from 'cockatiel';
import { z } from 'zod';
import { toMilliseconds, type Duration } from '../common/duration.js';
import { durationSchema, validateOptions } from '../common/validate-options.js';

/**
 * What happens after a failed attempt: wait this many milliseconds and try again, or give up now.
 */
export type RetryDecision = number | 'dead-letter';

/**
 * Decides over a step's failed messages. A policy holds no state: what it says depends on its arguments (and
 * chance) alone, since the attempts of one message may happen in different processes.
 */
export interface RetryPolicy {
  /** Attempts in all, the first included; after the last one the message goes to the dead letters. */
  readonly attempts: number;
  /** What to do after `attempt` (1 for the first) failed with `error`. Asked only while `attempt < attempts`. */
  delay(error: unknown, attempt: number): RetryDecision;
}

/** Options of every policy. */
export interface RetryOptions {
  /** Attempts in all, the first included; 1 means no retry. @default 5 */
  readonly attempts?: number;
}

/** Options of {@link exponential}. */
export interface ExponentialOptions extends RetryOptions {
  /** The longest delay. @default '5m' */
  readonly max?: Duration;
  /** What each delay is multiplied with to get the next; at least 1. @default 2 */
  readonly factor?: number;
  /** Shortens each delay by a random part, up to half of it, so that failures at one time do not retry at one time. @default true */
  readonly jitter?: boolean;
}

const attempts = z.int().min(1).default(5);
const retrySchema = z.strictObject({ attempts });
const exponentialSchema = z.strictObject({
  initial: durationSchema.refine((value) => value > 0, 'must be longer than nothing; for no delay use fixed(0)'),
  attempts,
  max: durationSchema.prefault('5m'),
  factor: z.number().min(1).default(2),
  jitter: z.boolean().default(true),
});

/**
 * Delays that grow: `initial`, `initial × factor`, `initial × factor²` … up to `max`.
 *
 * @throws ConfigurationError when an option is out of range.
 */
export function exponential(initial: Duration, options: ExponentialOptions = {}): RetryPolicy {
  const settings = validateOptions('exponential()', exponentialSchema, { ...options, initial });
  const generator = settings.jitter ? halfJitterGenerator : noJitterGenerator;
  const bounds = { generator, initialDelay: settings.initial, maxDelay: settings.max, exponent: settings.factor };
  // The generators double per step of their state; a state that advances by log2(factor) makes that any factor.
  const stride = Math.log2(settings.factor);
  return {
    attempts: settings.attempts,
    delay: (_error, attempt) => Math.round(generator((attempt - 1) * stride, bounds)[0]),
  };
}

/**
 * The same delay after every failure.
 *
 * @throws ConfigurationError when an option is out of range.
 */
export function fixed(delay: Duration, options: RetryOptions = {}): RetryPolicy {
  const schema = retrySchema.extend({ delay: durationSchema });
  const settings = validateOptions('fixed()', schema, { ...options, delay });
  return { attempts: settings.attempts, delay: () => settings.delay };
}

/**
 * A policy of the caller's own. `decide` gets the error and the number of the attempt that failed (1 for the first);
 * it must be synchronous. When it throws or returns something that is no duration, the error reaches the caller
 * of {@link RetryPolicy.delay}.
 *
 * @throws ConfigurationError when an option is out of range.
 */
export function custom(
  decide: (error: unknown, attempt: number) => Duration | 'dead-letter',
  options: RetryOptions = {},
): RetryPolicy {
  const settings = validateOptions('custom()', retrySchema, options);
  return {
    attempts: settings.attempts,
    delay: (error, attempt) => {
      const decision = decide(error, attempt);
      return decision === 'dead-letter' ? decision : toMilliseconds(decision);
    },
  };
}

/** The policy of a step that names none: 5 attempts, 1 s, 2 s, 4 s, 8 s apart, with jitter. */
export const DEFAULT_RETRY: RetryPolicy = exponential('1s', { attempts: 5 });
