import { z } from 'zod';
import type { Duration } from '../../common/duration.js';
import { durationSchema, validateOptions } from '../../common/validate-options.js';
import { nameSchema } from '../named.options.js';

/** A latch of `forFeature`, or of `Coordination`. */
export interface CountDownLatchOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * A key that nobody changes for this long is forgotten, and can be set again. The same in all processes: of several the one that
   * was started last counts. @default '7d'
   */
  readonly ttl?: Duration;
}

const optionsSchema = z.strictObject({ name: nameSchema('latch'), ttl: durationSchema.prefault('7d') });

/** Checks the options of a latch and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveLatch(options: CountDownLatchOptions): { readonly name: string; readonly ttl: number } {
  return validateOptions(`CountDownLatch "${options.name}"`, optionsSchema, options);
}
