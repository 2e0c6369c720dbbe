import { RateLimitStateSchema } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { ConfigurationError } from '../../common/errors.js';
import { resolveKvObject, type KvObjectOptions } from '../../store/engine/kv-object.options.js';
import { provisionBucket } from '../../store/engine/provision-bucket.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { ageOf, sharedAge } from '../shared-age.js';
import { KeyStates, RateLimitStates } from './key-states.js';
import { LaneTurns } from './lane-turns.js';
import type { LimitStates } from './limit-states.js';
import type { Quota } from './quota.js';
import { RateLimitCodec } from './rate-limit-codec.js';
import type { ResolvedRateLimiter } from './rate-limiter.options.js';
import { BucketAge } from './shards/bucket-age.js';
import { checkShards } from './shards/check-shards.js';
import { SHARD_HISTORY } from './shards/shard-log.js';
import { ShardedStates } from './shards/sharded-states.js';

/** How much longer than they mean anything states are kept: clocks of servers in a cluster differ. */
const EXPIRY_MARGIN_MS = 5_000;

/** Short ones: others make room, and whoever has many keys in one entry has the more to read after a longer pause. */
const RETRY = { initial: 1, max: 8 } as const;

/** Provisions the bucket of a limiter, for each key's state by itself or for shards, and opens it. */
export async function openStates(
  room: CoordinationRoom,
  resolved: ResolvedRateLimiter,
  bucket: string,
  quota: Quota,
): Promise<LimitStates> {
  const { name, limits, timeoutMs, shards } = resolved;
  const age = await sharedAge(room.environment, bucket, Math.max(1_000, quota.retentionMs + EXPIRY_MARGIN_MS));
  const kept = {
    bucket,
    schema: RateLimitStateSchema,
    description: `Rate limiter "${name}": ${limits.map(({ limit, windowMs }) => `${limit} per ${windowMs} ms`).join(', ')}`,
    ...age,
    history: 1,
    timeout: timeoutMs,
    retry: RETRY,
  };
  if (shards !== undefined) return openShards(room, name, { ...kept, history: SHARD_HISTORY }, shards);
  const { connection, defaults } = room.environment;
  const turns = new LaneTurns(connection, `${defaults.bucketPrefix ?? ''}${bucket}`);
  const onLost = (key: string): void => turns.lost(key);
  const store = await room.openStore(new RateLimitStates(), kept, { codec: new RateLimitCodec(), onLost });
  turns.start();
  return new KeyStates(store, turns);
}

async function openShards(
  room: CoordinationRoom,
  name: string,
  kept: KvObjectOptions,
  shards: number,
): Promise<LimitStates> {
  const { connection, mode, log, meter, defaults } = room.environment;
  const what = `Rate limiter "${name}"`;
  const settings = resolveKvObject(what, kept, defaults);
  const { bucket, ttlMs = Infinity } = settings.bucket;
  const provisioned = await provisionBucket(connection, settings.bucket, mode, log);
  if (provisioned.history > 0 && provisioned.history < SHARD_HISTORY) {
    throw new ConfigurationError(what, [
      `bucket "${bucket}" keeps ${provisioned.history} revisions of a key, and shards need ${SHARD_HISTORY}; set its history to that`,
    ]);
  }
  await checkShards(connection, what, bucket, shards);
  const clock = await room.clock();
  const age = new BucketAge({ ask: () => ageOf(connection, bucket), now: () => clock.now() }, ttlMs);
  return new ShardedStates({
    what,
    connection,
    settings,
    provisioned,
    meter: meter.store(bucket),
    shards,
    isOver: (atMs) => age.isOver(atMs),
  });
}
