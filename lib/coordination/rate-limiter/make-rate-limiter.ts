import { ConfigurationError, ConnectionError } from '../../common/errors.js';
import { coordinationBucket } from '../../common/names.js';
import { within } from '../../connection/within.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { lazily } from '../lazily.js';
import { BlockedKeys } from './blocked-keys.js';
import { LimiterRoom } from './limiter-room.js';
import { openStates } from './open-states.js';
import { Quota } from './quota.js';
import { RateLimiter } from './rate-limiter.js';
import { resolveRateLimiter, type RateLimiterOptions, type ResolvedRateLimiter } from './rate-limiter.options.js';
import { StoreFallback } from './store-fallback.js';

/**
 * A rate limiter of this process. Make one per name: two would not share what they know and lease.
 *
 * @throws ConfigurationError when the options have problems, all of them at once.
 */
export function makeRateLimiter(room: CoordinationRoom, options: RateLimiterOptions): RateLimiter {
  const resolved = resolveRateLimiter(options);
  const kind = resolved.shards === undefined ? 'limit' : 'shard';
  return buildRateLimiter(room, resolved, coordinationBucket(kind, resolved.name));
}

/** A rate limiter by options that are checked, in a bucket of any name. */
export function buildRateLimiter(room: CoordinationRoom, resolved: ResolvedRateLimiter, bucket: string): RateLimiter {
  const { name, lease, timeoutMs, blockedKeys } = resolved;
  const { connection, tracer, meter: meters } = room.environment;
  const quota = quotaOf(resolved);
  const blocked = new BlockedKeys(quota, blockedKeys);
  const fallback = new StoreFallback(resolved, room.log);
  const meter = meters.rateLimiter(name);
  const open = lazily(async () => {
    const clock = await room.clock();
    const states = await openStates(room, resolved, bucket, quota);
    const opened = new LimiterRoom({
      connection,
      states,
      clock,
      tracer,
      quota,
      blocked,
      timeoutMs,
      lease: lease && { ...lease, onLeased: (units) => meter.leased(units) },
    });
    return room.keepUser(opened);
  });
  return new RateLimiter({
    name,
    quota,
    open,
    openSoon: () => {
      if (fallback.decides && connection.status !== 'connected')
        return Promise.reject(new ConnectionError('The connection is lost.'));
      return within(timeoutMs, `Opening rate limiter "${name}"`, open());
    },
    blocked,
    fallback,
    meter,
    stopping: room.stopping,
  });
}

function quotaOf({ name, limits, lease }: ResolvedRateLimiter): Quota {
  const quota = new Quota(limits, lease?.holdMs);
  if (quota.capacity >= 1) return quota;
  throw new ConfigurationError(`Rate limiter "${name}"`, [
    'lease.hold is so long that nothing can be used at once; shorten it, or raise burst',
  ]);
}
