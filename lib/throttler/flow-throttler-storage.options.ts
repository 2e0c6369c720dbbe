import type { ThrottlerStorage } from '@nestjs/throttler';
import { z } from 'zod';
import type { Duration } from '../common/duration.js';
import { coordinationNameProblem } from '../common/names.js';
import { durationSchema, validateOptions } from '../common/validate-options.js';

/** Options of `FlowThrottlerStorage`. */
export interface FlowThrottlerStorageOptions {
  /** Applications with the same name share their hits; names the bucket `flow_throttler_<name>`. @default 'default' */
  readonly name?: string;
  /** Longest `ttl` and `blockDuration` that throttlers may have; older keys expire. @default '1d' */
  readonly longestTtl?: Duration;
  /** Time after which the server counts as not answering. @default '2s' */
  readonly timeout?: Duration;
  /**
   * What happens then: `'throw'` the error (a 500), `'allow'` the request, or let another storage count, for example the throttler's
   * own: `new ThrottlerStorageService()`. @default 'throw'
   */
  readonly onStoreError?: 'throw' | 'allow' | ThrottlerStorage;
  /** Keys over their limit that the process knows of, and answers without asking. @default 10_000 */
  readonly blockedKeys?: number;
}

const optionsSchema = z.strictObject({
  name: z
    .string()
    .refine((name) => coordinationNameProblem('throttler', name) === undefined, {
      error: (issue) => coordinationNameProblem('throttler', String(issue.input)) ?? '',
    })
    .default('default'),
  longestTtl: durationSchema.refine((ttl) => ttl >= 1_000, { error: 'is shorter than a second' }).default(86_400_000),
  timeout: durationSchema.default(2_000),
  onStoreError: z
    .union(
      [
        z.enum(['throw', 'allow']),
        z.custom<ThrottlerStorage>(
          (value) => typeof (value as Partial<ThrottlerStorage> | null | undefined)?.increment === 'function',
        ),
      ],
      { error: 'is not "throw", "allow" or a storage' },
    )
    .default('throw'),
  blockedKeys: z.int().min(1).default(10_000),
});

/** {@link FlowThrottlerStorageOptions} checked, with defaults, in milliseconds. */
export type ResolvedThrottlerStorage = z.output<typeof optionsSchema>;

/** Checks the options and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveThrottlerStorage(options: FlowThrottlerStorageOptions): ResolvedThrottlerStorage {
  return validateOptions('FlowThrottlerStorage', optionsSchema, options);
}
