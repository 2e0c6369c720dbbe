import { z } from 'zod';
import { validateOptions } from '../../common/validate-options.js';
import { leaseOptionFields, type LeaseOptions, type ResolvedLease } from '../lease/lease.options.js';
import { nameSchema } from '../named.options.js';

/** A read-write lock of `forFeature`, or of `Coordination`. */
export interface ReadWriteLockOptions extends LeaseOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
}

const optionsSchema = z.strictObject({ name: nameSchema('rwlock'), ...leaseOptionFields });

/** Checks the options of a read-write lock and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveReadWriteLock(options: ReadWriteLockOptions): ResolvedLease & { readonly name: string } {
  return validateOptions(`ReadWriteLock "${options.name}"`, optionsSchema, options);
}
