import { z } from 'zod';
import { validateOptions } from '../../common/validate-options.js';
import { nameSchema } from '../named.options.js';

/** An id generator of `forFeature`, or of `Coordination`. */
export interface IdGeneratorOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * How many ids a process takes at a time, 1 to 1,000,000: one write for so many. What it has not used when it ends is never
   * used. With 1 there are no gaps but after crashes and lost replies. @default 100
   */
  readonly block?: number;
  /** The first id of a sequence. @default 1 */
  readonly start?: number;
}

const optionsSchema = z.strictObject({
  name: nameSchema('ids'),
  block: z.int().min(1).max(1_000_000).default(100),
  start: z.int().min(0).default(1),
});

/** Checks the options of an id generator and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveIdGenerator(options: IdGeneratorOptions): {
  readonly name: string;
  readonly block: number;
  readonly start: number;
} {
  return validateOptions(`IdGenerator "${options.name}"`, optionsSchema, options);
}
