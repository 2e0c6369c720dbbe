import { toMilliseconds, type Duration } from '../common/duration.js';
import { FlowError } from '../common/errors.js';

/**
 * Thrown by a handler: try this message again after `delay` in place of the retry policy's own delay. It counts as
 * an attempt like any failure, so a message that is put off for ever still ends in the dead letters.
 */
export class RetryLater extends FlowError {
  /** Time until the next attempt, in milliseconds. */
  readonly delayMs: number;

  /** @throws RangeError when `delay` is not a duration. */
  constructor(delay: Duration, message?: string, options: { readonly cause?: unknown } = {}) {
    const delayMs = toMilliseconds(delay);
    super('RETRY_LATER', message ?? `To be tried again in ${delayMs} ms.`, options);
    this.delayMs = delayMs;
  }
}
