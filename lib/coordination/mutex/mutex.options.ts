import { z } from 'zod';
import { validateOptions } from '../../common/validate-options.js';
import { leaseOptionFields, type LeaseOptions, type ResolvedLease } from '../lease/lease.options.js';
import { nameSchema } from '../named.options.js';

/** A mutex of `forFeature`, or of `Coordination`. */
export interface MutexOptions extends LeaseOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
}

const optionsSchema = z.strictObject({ name: nameSchema('lock'), ...leaseOptionFields });

/** Checks the options of a mutex and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveMutex(options: MutexOptions): ResolvedLease & { readonly name: string } {
  return validateOptions(`Mutex "${options.name}"`, optionsSchema, options);
}
