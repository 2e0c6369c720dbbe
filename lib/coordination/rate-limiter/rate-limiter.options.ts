import { z } from 'zod';
import type { Duration } from '../../common/duration.js';
import { coordinationNameProblem, isValidName, NAME_RULE } from '../../common/names.js';
import { durationSchema, validateOptions } from '../../common/validate-options.js';
import type { AlgorithmName, Limit } from './algorithms/limit-algorithm.js';
import type { RateLimitDecision } from './rate-limit-decision.js';

/** Largest limit that a sliding log is kept for. */
const LONGEST_LOG = 1_000;

/** Longest time that units are held unless the options say so. */
const LONGEST_HOLD_MS = 10_000;

/** One limit: so many units per window. */
export interface RateLimitRule {
  /** Units that may be used per window, from 1. */
  readonly limit: number;
  /** The window, from 1 millisecond. */
  readonly window: Duration;
  /**
   * How units are counted.
   *
   * - `'gcra'`: they come back evenly, one every `window / limit`; up to `burst` may be used at once.
   * - `'fixed-window'`: all of them come back a `window` after the first was used. Around that moment twice the limit may be
   *   used in a short time.
   * - `'sliding-window'`: at most `limit` in the window before each moment, estimated from two counters.
   * - `'sliding-log'`: the same exactly, for limits up to 1,000: every use is stored.
   *
   * @default 'gcra'
   */
  readonly algorithm?: AlgorithmName;
  /** Of `gcra`: units that may be used at once. @default `limit` */
  readonly burst?: number;
}

/** What such a limiter says. */
export type FallbackDecision = Pick<RateLimitDecision, 'allowed' | 'limits'>;

/** What decides in place of a limiter: another limiter, or anything of its shape. */
export interface FallbackLimiter {
  /** Uses units, if they are available. */
  consume(key: string, options: { readonly cost: number }): Promise<FallbackDecision> | FallbackDecision;
  /** What `consume` would say, without using anything. Without it `RateLimiter.peek` rejects as long as the server is away. */
  peek?(key: string, options: { readonly cost: number }): Promise<FallbackDecision> | FallbackDecision;
}

/** What is set beside the limits. */
export interface RateLimiterSettings {
  /** Names it for all processes, and its bucket: letters, digits, `-` and `_`. */
  readonly name: string;
  /**
   * `'exact'`: every unit is counted on the server before it is used. `'leased'`: the process takes units in batches and hands
   * them out without a round trip; never more than the limit, but units that it holds and does not need are lost to others, see
   * `lease`. @default 'exact'
   */
  readonly precision?: 'exact' | 'leased';
  /** Bounds of what is taken ahead with `precision: 'leased'`. */
  readonly lease?: {
    /**
     * Most units that a process takes at once, per key. How many it takes follows from how many it used lately, and is never
     * more than half of what is left, unless they are waited for. @default a tenth of the limit, from 1
     */
    readonly size?: number;
    /**
     * How long units taken ahead may be used. What is held back for it: with `gcra` the burst is smaller by what comes back in
     * this time; sliding windows are longer by it. @default a twentieth of the shortest window, 10 seconds at most
     */
    readonly hold?: Duration;
  };
  /**
   * What happens when the server does not answer in time: `'throw'` the error, `'allow'`, `'deny'`, or let another limiter
   * decide, for example one of this process: `new MemoryRateLimiter({ limit: 10, window: '1s' })`. @default 'throw'
   */
  readonly onStoreError?: 'throw' | 'allow' | 'deny' | FallbackLimiter;
  /** Time after which the server counts as not answering. @default '2s' */
  readonly timeout?: Duration;
  /**
   * Keeps the states of the keys in so many shards, from 1 to 1,024, instead of one by one: what a process decides at the same time
   * about keys of one shard is stored by one message. For one or a few processes with many decisions per second each, about some
   * 1,000 to 100,000 keys; processes that write a shard at the same time come into each other's way. Each message also
   * holds a 32nd of its shard's keys, about 60 bytes each or more, and every process keeps all of those of the shards that it uses in
   * memory, until twice the longest window after their last use. 8 suit most: few shards make for many decisions per message,
   * and a shard should have no more than some thousand keys. All instances have to give the same number. Limits begin anew when
   * it is introduced, left out or changed.
   * @default each key by itself
   */
  readonly shards?: number;
  /** Keys over their limit that the process knows of, and denies without asking. @default 10_000 */
  readonly blockedKeys?: number;
}

/** A rate limiter of `forFeature`, or of `Coordination`: with one limit, or with several that are decided together. */
export type RateLimiterOptions = RateLimiterSettings &
  (RateLimitRule | { readonly limits: readonly (RateLimitRule & { readonly name?: string })[] });

/** {@link RateLimiterOptions} checked, with defaults, in milliseconds. */
export interface ResolvedRateLimiter {
  readonly name: string;
  readonly limits: readonly Limit[];
  /** With `precision: 'leased'`. */
  readonly lease: { readonly size: number; readonly holdMs: number } | undefined;
  readonly onStoreError: 'throw' | 'allow' | 'deny' | FallbackLimiter;
  readonly timeoutMs: number;
  readonly blockedKeys: number;
  /** `undefined`: each key's state is stored by itself. */
  readonly shards: number | undefined;
}

/** More would hold little each. */
const MOST_SHARDS = 1_024;

const count = z.int().min(1);
/** Fields of {@link RateLimitRule}, for schemas that have others beside; check the whole with {@link checkRule}. */
export const ruleFields = {
  limit: count,
  window: durationSchema.refine((window) => window >= 1, { error: 'is shorter than a millisecond' }),
  algorithm: z.enum(['gcra', 'fixed-window', 'sliding-window', 'sliding-log']).default('gcra'),
  burst: count.optional(),
};
const settingFields = {
  name: z.string().refine((name) => coordinationNameProblem('limit', name) === undefined, {
    error: (issue) => coordinationNameProblem('limit', String(issue.input)) ?? '',
  }),
  precision: z.enum(['exact', 'leased']).default('exact'),
  lease: z.strictObject({ size: count.optional(), hold: durationSchema.optional() }).prefault({}),
  onStoreError: z
    .union([z.enum(['throw', 'allow', 'deny']), z.custom<FallbackLimiter>(isLimiter)], {
      error: 'is not "throw", "allow", "deny" or a limiter',
    })
    .default('throw'),
  timeout: durationSchema.default(2_000),
  shards: count.max(MOST_SHARDS).optional(),
  blockedKeys: count.default(10_000),
};

/** A rule whose fields are checked. */
type Rule = z.output<z.ZodObject<typeof ruleFields>>;

const ruleSchema = z.strictObject(ruleFields).superRefine(checkRule);
const namedRuleSchema = z
  .strictObject({ ...ruleFields, name: z.string().refine(isValidName, { error: NAME_RULE }).optional() })
  .superRefine(checkRule);
const singleSchema = z.strictObject({ ...settingFields, ...ruleFields }).superRefine(checkRule);
const unionSchema = z.strictObject({ ...settingFields, limits: z.array(namedRuleSchema).min(1) });

/** Checks one limit. @throws ConfigurationError with every problem. */
export function resolveRule(where: string, rule: RateLimitRule): Limit {
  return toLimit(validateOptions(where, ruleSchema, rule), 'default');
}

/** Checks the options of a limiter and fills in the defaults. @throws ConfigurationError with every problem. */
export function resolveRateLimiter(options: RateLimiterOptions): ResolvedRateLimiter {
  const where = `Rate limiter "${options.name}"`;
  if ('limits' in options) {
    const { limits, ...settings } = validateOptions(where, unionSchema, options);
    return resolve(
      settings,
      limits.map((rule, index) => toLimit(rule, rule.name ?? `${settings.name}-${index + 1}`)),
    );
  }
  const single = validateOptions(where, singleSchema, options);
  return resolve(single, [toLimit(single, single.name)]);
}

function resolve(settings: z.output<z.ZodObject<typeof settingFields>>, limits: readonly Limit[]): ResolvedRateLimiter {
  const { name, precision, lease, onStoreError, timeout, blockedKeys, shards } = settings;
  const common = { name, limits, onStoreError, timeoutMs: timeout, blockedKeys, shards };
  if (precision === 'exact') return { ...common, lease: undefined };
  const least = Math.min(...limits.map(({ burst }) => burst));
  const size = Math.min(lease.size ?? Math.max(1, Math.floor(least / 10)), least);
  return { ...common, lease: { size, holdMs: lease.hold ?? longestHold(limits) } };
}

/** Short enough for a burst to lose no more than a quarter of itself. */
function longestHold(limits: readonly Limit[]): number {
  const holds = limits.flatMap(({ limit, windowMs, burst }) => [windowMs / 20, (burst / 4) * (windowMs / limit)]);
  return Math.min(LONGEST_HOLD_MS, ...holds);
}

/** A checked rule as a limit. */
export function toLimit({ limit, window, algorithm, burst }: Rule, name: string): Limit {
  return { name, algorithm, limit, windowMs: window, burst: burst ?? limit };
}

/** What one field of a rule means for another. */
export function checkRule({ algorithm, burst, limit }: Rule, context: z.RefinementCtx): void {
  const add = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  if (burst !== undefined && algorithm !== 'gcra') add('burst', `is of "gcra" only, not of "${algorithm}"`);
  if (algorithm === 'sliding-log' && limit > LONGEST_LOG)
    add('limit', `is over ${LONGEST_LOG}: too large for a log; use "sliding-window"`);
}

function isLimiter(value: unknown): boolean {
  return typeof (value as Partial<FallbackLimiter> | null | undefined)?.consume === 'function';
}
