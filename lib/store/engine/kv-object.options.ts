import { z } from 'zod';
import type { MessageOf, MessageSchema } from '../../codec/message-schema.js';
import type { Duration } from '../../common/duration.js';
import { isValidName, NAME_RULE } from '../../common/names.js';
import { durationSchema, validateOptions } from '../../common/validate-options.js';
import type { RememberLimits } from './applied-keys.js';
import type { BucketOptions } from './bucket-options.js';
import type { Backoff } from './full-jitter.js';
import type { QueueLimits } from './operation-queue.js';
import type { CacheLimits } from './remembered-entries.js';
import type { Migrate } from './state-codec.js';

/** What `@KvObject` says about a kind of state. */
export interface KvObjectOptions<S extends MessageSchema = MessageSchema> {
  /** Name of the KV bucket: letters, digits, `-` and `_`. */
  readonly bucket: string;
  /** The state's message type: a generated Protobuf-ES descriptor, or `json<T>()`. Values are its plain bytes. */
  readonly schema: S;
  /** Put before the bucket's name as it is, for example `'staging_'`. @default the module's, or none */
  readonly bucketPrefix?: string;
  /** First part of every key: lets several kinds of state, or tenants, share one bucket. @default none */
  readonly scope?: string;
  /** For whoever lists the buckets. */
  readonly description?: string;
  /** Entries disappear this long after they were last written. @default never, or as the bucket has it */
  readonly ttl?: Duration;
  /**
   * Lets writes give an entry a time to live of its own: `update(key, input, { ttl: '5m' })`. Needs nats-server 2.11, and a
   * `history` of 1: behind an expired revision an older one would come back. @default false
   */
  readonly entryTtl?: boolean;
  /**
   * Allows `transaction`. Needs nats-server 2.12; not together with `entryTtl`. @default false
   */
  readonly transactions?: boolean;
  /**
   * What is left of deleted entries is removed after this, so that a bucket of short-lived keys does not grow; and an entry
   * that expires, by its own time or the bucket's, leaves a trace for as long, by which watches tell of it. The trace of a
   * deletion expires too, so it takes twice as long, and watches tell that the key is deleted a second time. It holds the
   * entry's idempotency keys; the second does not. In a bucket with history, what `delete` leaves stays; use `purge`.
   * From 1 minute. Needs nats-server 2.11.
   * @default traces stay until they are written over, and nothing tells that an entry has expired
   */
  readonly cleanupTtl?: Duration;
  /** Revisions kept per key, 1 to 64. @default 1, or as the bucket has it */
  readonly history?: number;
  /** Copies of the bucket in a cluster, 1 to 5. @default the module's, or as the bucket has it */
  readonly replicas?: number;
  /** @default the module's, or as the bucket has it ('file' for a new one) */
  readonly storage?: 'file' | 'memory';
  /** Largest value in bytes; larger ones are an `EncodeError`. @default what the server takes (1 MB as it comes) */
  readonly maxValueBytes?: number;
  /** Largest size of the whole bucket in bytes. @default none */
  readonly maxBytes?: number;
  /**
   * Version of the schema, from 1, raised when `migrate` has something to do. Written beside every value.
   *
   * During a rollout, processes with a lower version read an entry of a higher one as it is, and what they make of it keeps the
   * higher version: an entry is migrated once. So a new version may only add what older processes carry along, unknown to
   * them; one whose function builds the new state from nothing would drop it. What they make anew, also by `reset`, has
   * theirs.
   * @default 0: not versioned
   */
  readonly schemaVersion?: number;
  /**
   * Brings a state that was written with an older `schemaVersion` up to date whenever it is read; change `state` or
   * return a new one. `fromVersion` is 0 for entries of other KV clients and from before versions were used. What it throws
   * becomes a `DecodeError` that names the entry.
   */
  readonly migrate?: Migrate<MessageOf<S>>;
  /** How many idempotency keys an entry remembers, and how long. @default 1024 (at most 4096), '10m' */
  readonly remember?: { readonly count?: number; readonly age?: Duration };
  /** What the process remembers of entries, so that their next update needs no read. @default 50,000 entries, 64 MiB */
  readonly cache?: { readonly entries?: number; readonly bytes?: number };
  /** Conflicts with other processes after which an operation gives up. @default no limit */
  readonly maxAttempts?: number;
  /**
   * Time after which an operation gives up, queueing and attempts included: one that writes with an
   * `OperationTimeoutError` or `OutcomeUnknownError`; a read, `status` and `deleteBucket`, which wait for a server that is
   * away, with its `ConnectionError`. Watches and listings have 30 seconds of their own to start. @default '30s'
   */
  readonly timeout?: Duration;
  /** Bounds of the random pause after a conflict with another process. @default '2ms', '250ms' */
  readonly retry?: { readonly initial?: Duration; readonly max?: Duration };
  /**
   * Operations that may wait in this process, all keys together; more are an `OverloadedError`. Of one key no more than are
   * still free may wait, so one alone has half of them at most (but 16 in any case, as long as there is room): a key that
   * everybody changes leaves room for the others. @default 50_000
   */
  readonly maxQueued?: number;
}

/** What a module gives to all its state objects. */
export interface KvObjectDefaults {
  readonly bucketPrefix?: string | undefined;
  readonly replicas?: number | undefined;
  readonly storage?: 'file' | 'memory' | undefined;
}

/** {@link KvObjectOptions} checked, with defaults, in milliseconds. */
export interface ResolvedKvObject<S extends MessageSchema = MessageSchema> {
  readonly schema: S;
  readonly migrate: Migrate<MessageOf<S>> | undefined;
  readonly schemaVersion: number;
  readonly scope: string | undefined;
  readonly bucket: BucketOptions;
  readonly remember: RememberLimits;
  readonly cache: CacheLimits;
  readonly queue: QueueLimits;
  readonly backoff: Backoff;
}

/** More would not fit into a message's headers. */
const MOST_REMEMBERED = 4_096;
const MIB = 1_048_576;
const count = (least = 1): z.ZodInt => z.int().min(least);

const optionsSchema = z.strictObject({
  bucket: z
    .string()
    .refine(isValidName, { error: (issue) => `"${String(issue.input)}" cannot name a bucket; ${NAME_RULE}` }),
  schema: z.custom<MessageSchema>((value) => typeof value === 'object' && value !== null && 'kind' in value, {
    error: 'is missing; give a generated Protobuf-ES schema or json<T>()',
  }),
  bucketPrefix: z
    .string()
    .refine((prefix) => prefix === '' || isValidName(prefix), { error: NAME_RULE })
    .optional(),
  scope: z.string().optional(),
  description: z.string().optional(),
  ttl: durationSchema.refine((ttl) => ttl >= 1_000, { error: 'is shorter than a second' }).optional(),
  entryTtl: z.boolean().default(false),
  transactions: z.boolean().default(false),
  cleanupTtl: durationSchema.refine((ttl) => ttl >= 60_000, { error: 'is shorter than a minute' }).optional(),
  history: count().max(64).optional(),
  replicas: count().max(5).optional(),
  storage: z.enum(['file', 'memory']).optional(),
  maxValueBytes: count().optional(),
  maxBytes: count().optional(),
  schemaVersion: count().optional(),
  migrate: z.custom<Migrate<never>>((value) => typeof value === 'function', { error: 'is not a function' }).optional(),
  remember: z
    .strictObject({ count: count(0).max(MOST_REMEMBERED).default(1_024), age: durationSchema.default(600_000) })
    .prefault({}),
  cache: z.strictObject({ entries: count().default(50_000), bytes: count().default(64 * MIB) }).prefault({}),
  maxAttempts: count().default(Number.MAX_SAFE_INTEGER),
  timeout: durationSchema.default(30_000),
  retry: z.strictObject({ initial: durationSchema.default(2), max: durationSchema.default(250) }).prefault({}),
  maxQueued: count().default(50_000),
});

/**
 * Checks the options of `@KvObject` and fills in `defaults`.
 *
 * @param where names the class in errors
 * @throws ConfigurationError with every problem.
 */
export function resolveKvObject<S extends MessageSchema>(
  where: string,
  options: KvObjectOptions<S>,
  defaults: KvObjectDefaults = {},
): ResolvedKvObject<S> {
  const valid = validateOptions(where, optionsSchema, options);
  return {
    schema: options.schema,
    migrate: options.migrate,
    schemaVersion: valid.schemaVersion ?? 0,
    scope: valid.scope,
    bucket: {
      bucket: (valid.bucketPrefix ?? defaults.bucketPrefix ?? '') + valid.bucket,
      description: valid.description,
      ttlMs: valid.ttl,
      history: valid.history,
      replicas: valid.replicas ?? defaults.replicas,
      storage: valid.storage ?? defaults.storage,
      maxValueBytes: valid.maxValueBytes,
      maxBytes: valid.maxBytes,
      entryTtl: valid.entryTtl,
      transactions: valid.transactions,
      cleanupMs: valid.cleanupTtl,
    },
    remember: { count: valid.remember.count, ageMs: valid.remember.age },
    cache: valid.cache,
    queue: {
      maxQueued: valid.maxQueued,
      maxAttempts: valid.maxAttempts,
      timeoutMs: valid.timeout,
      entryTtl: valid.entryTtl,
    },
    backoff: { initialMs: valid.retry.initial, maxMs: valid.retry.max },
  };
}
