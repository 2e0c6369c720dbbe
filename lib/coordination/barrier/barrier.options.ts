import { z } from 'zod';
import type { Duration } from '../../common/duration.js';
import { durationSchema, validateOptions } from '../../common/validate-options.js';
import { nameSchema } from '../named.options.js';

/** A barrier of `forFeature`, or of `Coordination`. */
export interface BarrierOptions {
  /** Names it for all processes: letters, digits, `-` and `_`. */
  readonly name: string;
  /** How many have to arrive for it to open, 1 to 10,000. The same in all processes. */
  readonly parties: number;
  /**
   * A key at which nobody arrives for this long is forgotten, with those who wait there: `arrive` rejects, and the count of openings
   * begins anew. The same in all processes: of several the one that was started last counts. @default '7d'
   */
  readonly ttl?: Duration;
}

const optionsSchema = z.strictObject({
  name: nameSchema('barrier'),
  parties: z.int().min(1).max(10_000),
  ttl: durationSchema.prefault('7d'),
});

/** Checks the options of a barrier and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveBarrier(options: BarrierOptions): {
  readonly name: string;
  readonly parties: number;
  readonly ttl: number;
} {
  return validateOptions(`Barrier "${options.name}"`, optionsSchema, options);
}
