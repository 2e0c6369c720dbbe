import { z } from 'zod';
import { toMilliseconds, type Duration } from '../../common/duration.js';
import { ConfigurationError } from '../../common/errors.js';
import { durationSchema } from '../../common/validate-options.js';

/** How to ask for a lease. */
export interface AcquireOptions {
  /**
   * How long the lease outlives a holder that was killed; while the holder lives it is renewed. From 1 second to 1 hour.
   * @default that of the primitive
   */
  readonly ttl?: Duration;
  /** How long to wait for it; 0 tries once. @default without end */
  readonly wait?: Duration;
  /** Gives up waiting when it aborts. A lease that is held stays. */
  readonly signal?: AbortSignal;
}

/** What a kind of lock may be told about its leases. */
export interface LeaseOptions {
  /**
   * How long a lease outlives a holder that was killed; while the holder lives it is renewed, at a third of the time.
   * Shorter: others go on sooner, and a pause of the process or the server loses leases sooner. From 1 second to 1 hour.
   * @default '15s'
   */
  readonly ttl?: Duration;
  /** Holding a lease for longer than this is told in the log. @default '5m' */
  readonly maxHold?: Duration;
  /**
   * What else happens then: with `'end'` the lease is no longer renewed, its signal aborts, and others get it when its
   * time is over or the holder gives it back. @default 'warn'
   */
  readonly onMaxHold?: 'warn' | 'end';
}

/** {@link LeaseOptions} checked, with defaults, in milliseconds. */
export interface ResolvedLease {
  readonly ttl: number;
  /** `undefined`: for ever. */
  readonly maxHold: number | undefined;
  readonly onMaxHold: 'warn' | 'end';
}

/** Entries that nobody has changed for this long are forgotten by the server: longer than any lease. */
export const LEASE_BUCKET_TTL_MS = 86_400_000;

const SHORTEST_MS = 1_000;
const LONGEST_MS = 3_600_000;

const ttlSchema = durationSchema.refine((ttl) => ttl >= SHORTEST_MS && ttl <= LONGEST_MS, {
  error: ({ input }) => `${String(input)} ms is not between 1 second and 1 hour`,
});

/** Fields of {@link LeaseOptions}, for the options of a primitive. */
export const leaseOptionFields = {
  ttl: ttlSchema.default(15_000),
  maxHold: durationSchema.default(300_000),
  onMaxHold: z.enum(['warn', 'end']).default('warn'),
};

/** Milliseconds that a lease is asked for. @throws ConfigurationError when it is too short or too long. */
export function leaseTtl(where: string, ttl: Duration | undefined, fallback: number): number {
  if (ttl === undefined) return fallback;
  const ttlMs = toMilliseconds(ttl);
  if (ttlMs >= SHORTEST_MS && ttlMs <= LONGEST_MS) return ttlMs;
  throw new ConfigurationError(where, [`ttl: ${JSON.stringify(ttl)} is not between 1 second and 1 hour`]);
}
