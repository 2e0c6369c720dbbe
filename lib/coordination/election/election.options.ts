import { z } from 'zod';
import type { Duration } from '../../common/duration.js';
import { validateOptions } from '../../common/validate-options.js';
import { leaseOptionFields } from '../lease/lease.options.js';
import { nameSchema } from '../named.options.js';

/** An election of `forFeature`, or of `Coordination`. */
export interface LeaderElectionOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /** How long the others wait for a leader that was killed, at most. From 1 second to 1 hour. @default '15s' */
  readonly ttl?: Duration;
}

const optionsSchema = z.strictObject({ name: nameSchema('election'), ttl: leaseOptionFields.ttl });

/** Checks the options of an election and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveElection(options: LeaderElectionOptions): { readonly name: string; readonly ttl: number } {
  return validateOptions(`LeaderElection "${options.name}"`, optionsSchema, options);
}
