import { type StreamConfig, type StreamInfo } from '@nats-io/jetstream';
import { Kvm, type KvOptions } from '@nats-io/kv';
import { millis, nanos } from '@nats-io/transport-node';
import { ConfigurationError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { BucketLayout } from './bucket-layout.js';
import type { BucketOptions, BucketProvisionMode } from './bucket-options.js';
import { ApiCode, bucketRequest, isPassing, isRefusal } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';

/** What the store has to know of its bucket. */
export interface ProvisionedBucket {
  /** Replicas may answer reads. */
  readonly allowsDirect: boolean;
  /** Revisions kept per key. */
  readonly history: number;
  /** Milliseconds that a message stays at least before it may expire; `Infinity`: none expires. */
  readonly shortestLifeMs: number;
}

/**
 * Makes sure that the bucket is there and is as `options` say. Safe when many processes do it at the same time. With `auto`
 * what differs is updated where the server lets one; options left out are taken as they are.
 *
 * @throws ConfigurationError when the bucket is missing (`verify`), or differs in what cannot be changed.
 */
export async function provisionBucket(
  connection: StoreConnection,
  options: BucketOptions,
  mode: BucketProvisionMode,
  log: Log,
): Promise<ProvisionedBucket> {
  const { capabilities } = connection;
  // Old servers take these settings, and ignore them.
  if (options.entryTtl || options.cleanupMs !== undefined) capabilities.require('messageTtl');
  if (options.transactions) capabilities.require('atomicBatch');
  const layout = new BucketLayout(options.bucket);
  const what = `provision bucket "${options.bucket}"`;
  let info = await findStream(connection, layout.stream, what);
  if (info === undefined) {
    if (mode === 'off')
      return checked(options, { allowsDirect: false, history: options.history ?? 1, shortestLifeMs: LEAST_TTL_MS });
    if (mode === 'verify') {
      throw new ConfigurationError(`Bucket "${options.bucket}"`, [
        'it does not exist, and provision is "verify"; create it, or set provision to "auto"',
      ]);
    }
    if (await create(connection, options, what)) log.log(`Bucket "${options.bucket}" created.`);
    info = await bucketRequest(what, () => connection.manager.streams.info(layout.stream));
  }
  if (mode !== 'off') info = await align(connection, options, mode, info, what, log);
  const { allow_direct: allowsDirect, max_msgs_per_subject: history } = info.config;
  return checked(options, { allowsDirect, history, shortestLifeMs: shortestLife(info.config) });
}

/** What the server takes as a time to live of one message, and of all in a stream, is not shorter. */
const LEAST_TTL_MS = 1_000;

function shortestLife({ max_age, allow_msg_ttl = false }: StreamConfig): number {
  if (allow_msg_ttl) return LEAST_TTL_MS;
  return max_age === 0 ? Infinity : millis(max_age);
}

function checked(options: BucketOptions, provisioned: ProvisionedBucket): ProvisionedBucket {
  const problems: string[] = [];
  if (options.entryTtl && provisioned.history !== 1)
    problems.push(
      `entryTtl needs a history of 1, and the bucket has ${provisioned.history}; behind an expired revision an older one would come back`,
    );
  if (options.entryTtl && options.transactions)
    problems.push(
      'transactions and entryTtl do not go together; what a transaction keeps is written again, and its time would be lost',
    );
  if (problems.length === 0) return provisioned;
  throw new ConfigurationError(`Bucket "${options.bucket}"`, problems);
}

async function findStream(connection: StoreConnection, stream: string, what: string): Promise<StreamInfo | undefined> {
  try {
    return await bucketRequest(what, () => connection.manager.streams.info(stream));
  } catch (error) {
    if (isRefusal(error, ApiCode.streamNotFound)) return undefined;
    throw error;
  }
}

/**
 * Through the KV client, so that the layout is the one every client expects.
 *
 * @returns `false` when another process was first, with other options.
 */
async function create(connection: StoreConnection, options: BucketOptions, what: string): Promise<boolean> {
  const wanted: Partial<KvOptions> = {
    ...(options.description !== undefined && { description: options.description }),
    ...(options.ttlMs !== undefined && { ttl: options.ttlMs }),
    ...(options.history !== undefined && { history: options.history }),
    ...(options.replicas !== undefined && { replicas: options.replicas }),
    ...(options.storage !== undefined && { storage: options.storage }),
    ...(options.maxValueBytes !== undefined && { maxValueSize: messageLimit(options.maxValueBytes) }),
    ...(options.maxBytes !== undefined && { max_bytes: options.maxBytes }),
  };
  try {
    await bucketRequest(what, () => new Kvm(connection.manager.jetstream()).create(options.bucket, wanted));
    return true;
  } catch (error) {
    if (isRefusal(error, ApiCode.streamNameInUse)) return false;
    // Two that come at the same time may be told that one overlaps with the other, and in a cluster nothing at all.
    const isThere =
      (isRefusal(error, ApiCode.subjectsOverlap) || isPassing(error)) &&
      (await findStream(connection, new BucketLayout(options.bucket).stream, what)) !== undefined;
    if (isThere) return false;
    throw error;
  }
}

/** The server's limit counts headers too; ours is for the value alone, and is checked before. */
function messageLimit(maxValueBytes: number): number {
  return maxValueBytes + HEADER_ROOM_BYTES;
}
const HEADER_ROOM_BYTES = 65_536;

interface Difference {
  readonly field: string;
  readonly have: string;
  readonly want: string;
  readonly update: Partial<StreamConfig> | undefined;
}

function differences(config: StreamConfig, options: BucketOptions): Difference[] {
  const found: Difference[] = [];
  const compare = <T extends string | number | boolean>(
    field: string,
    have: T | undefined,
    want: T | undefined,
    update?: (want: T) => Partial<StreamConfig>,
  ): void => {
    if (want === undefined || have === want) return;
    found.push({ field, have: String(have), want: String(want), update: update?.(want) });
  };
  compare('storage', config.storage as string, options.storage);
  compare('ttl (ms)', millis(config.max_age), options.ttlMs, (ttlMs) => ({
    max_age: nanos(ttlMs),
    duplicate_window: nanos(duplicateWindow(ttlMs)),
  }));
  compare('history', config.max_msgs_per_subject, options.history, (max_msgs_per_subject) => ({
    max_msgs_per_subject,
  }));
  compare('replicas', config.num_replicas, options.replicas, (num_replicas) => ({ num_replicas }));
  compare(
    'maxValueBytes',
    config.max_msg_size,
    options.maxValueBytes === undefined ? undefined : messageLimit(options.maxValueBytes),
    (max_msg_size) => ({ max_msg_size }),
  );
  compare('entryTtl', config.allow_msg_ttl ?? false, options.entryTtl || undefined, (allow_msg_ttl) => ({
    allow_msg_ttl,
  }));
  compare('transactions', config.allow_atomic ?? false, options.transactions || undefined, (allow_atomic) => ({
    allow_atomic,
  }));
  compare('cleanupTtl (ms)', millis(config.subject_delete_marker_ttl ?? 0), options.cleanupMs, (cleanupMs) => ({
    allow_msg_ttl: true,
    subject_delete_marker_ttl: nanos(cleanupMs),
  }));
  compare('maxBytes', config.max_bytes, options.maxBytes, (max_bytes) => ({ max_bytes }));
  compare('description', config.description ?? '', options.description, (description) => ({ description }));
  return found;
}

/** As the KV client chooses it for a new bucket: the server's default, but no longer than messages live. 0: for ever. */
function duplicateWindow(ttlMs: number): number {
  return ttlMs === 0 ? DEFAULT_DUPLICATE_WINDOW_MS : Math.min(ttlMs, DEFAULT_DUPLICATE_WINDOW_MS);
}
const DEFAULT_DUPLICATE_WINDOW_MS = 120_000;

async function align(
  connection: StoreConnection,
  options: BucketOptions,
  mode: BucketProvisionMode,
  info: StreamInfo,
  what: string,
  log: Log,
): Promise<StreamInfo> {
  const found = differences(info.config, options);
  const fixed = found.filter((difference) => mode === 'verify' || difference.update === undefined);
  if (fixed.length > 0) {
    const remedy =
      mode === 'verify'
        ? 'change one of the two, or set provision to "auto"'
        : 'the server cannot change it; change the option, or copy the bucket to a new one';
    throw new ConfigurationError(
      `Bucket "${options.bucket}"`,
      fixed.map(({ field, have, want }) => `${field} is ${have} on the server and ${want} in @KvObject; ${remedy}`),
    );
  }
  if (found.length === 0) return info;
  const update = Object.assign({}, ...found.map((difference) => difference.update)) as Partial<StreamConfig>;
  const updated = await bucketRequest(what, () => connection.manager.streams.update(info.config.name, update));
  log.log(
    `Bucket "${options.bucket}": changed ${found.map(({ field, have, want }) => `${field} from ${have} to ${want}`).join(', ')}.`,
  );
  return updated;
}
