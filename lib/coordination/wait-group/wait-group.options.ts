import { z } from 'zod';
import type { Duration } from '../../common/duration.js';
import { durationSchema, validateOptions } from '../../common/validate-options.js';
import { nameSchema } from '../named.options.js';

/** A wait group of `forFeature`, or of `Coordination`. */
export interface WaitGroupOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * A key that nobody changes for this long is forgotten: its count is 0 then. The same in all processes: of several the one that
   * was started last counts. @default '7d'
   */
  readonly ttl?: Duration;
}

const optionsSchema = z.strictObject({ name: nameSchema('waitgroup'), ttl: durationSchema.prefault('7d') });

/** Checks the options of a wait group and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveWaitGroup(options: WaitGroupOptions): { readonly name: string; readonly ttl: number } {
  return validateOptions(`WaitGroup "${options.name}"`, optionsSchema, options);
}
