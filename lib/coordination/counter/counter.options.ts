import { z } from 'zod';
import { validateOptions } from '../../common/validate-options.js';
import { nameSchema } from '../named.options.js';

/** A counter of `forFeature`, or of `Coordination`. */
export interface CounterOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * Parts that each key is spread over, 1 to 64. A process adds to one of them, so that processes do not wait for each other;
   * reading sums them up. Never lower it: what is in the parts beyond would be missed. @default 8
   */
  readonly parts?: number;
}

const optionsSchema = z.strictObject({ name: nameSchema('counter'), parts: z.int().min(1).max(64).default(8) });

/** Checks the options of a counter and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveCounter(options: CounterOptions): { readonly name: string; readonly parts: number } {
  return validateOptions(`Counter "${options.name}"`, optionsSchema, options);
}
