import { z } from 'zod';
import { validateOptions } from '../../common/validate-options.js';
import { leaseOptionFields, type LeaseOptions, type ResolvedLease } from '../lease/lease.options.js';
import { nameSchema } from '../named.options.js';

/** A semaphore of `forFeature`, or of `Coordination`. */
export interface SemaphoreOptions extends LeaseOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * How many may hold a key at a time, 1 to 10,000. The same in all processes: each goes by its own number. With more than
   * some hundred holders of one key the stored table gets large.
   */
  readonly permits: number;
}

const optionsSchema = z.strictObject({
  name: nameSchema('semaphore'),
  permits: z.int().min(1).max(10_000),
  ...leaseOptionFields,
});

/** Checks the options of a semaphore and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveSemaphore(
  options: SemaphoreOptions,
): ResolvedLease & { readonly name: string; readonly permits: number } {
  return validateOptions(`Semaphore "${options.name}"`, optionsSchema, options);
}
