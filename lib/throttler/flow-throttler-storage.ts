import { create } from '@bufbuild/protobuf';
import type { ThrottlerStorage } from '@nestjs/throttler';
import { LRUCache } from 'lru-cache';
import { ThrottlerStateSchema, type ThrottlerState } from '../codec/gen/flow/v1/throttler_pb.js';
import { ConfigurationError, ConnectionError } from '../common/errors.js';
import { coordinationBucket } from '../common/names.js';
import type { Coordination } from '../coordination/coordination.js';
import { limiterKey } from '../coordination/rate-limiter/limiter-key.js';
import { isAbsence } from '../coordination/rate-limiter/store-fallback.js';
import { StandInLog } from '../coordination/stand-in-log.js';
import {
  resolveThrottlerStorage,
  type FlowThrottlerStorageOptions,
  type ResolvedThrottlerStorage,
} from './flow-throttler-storage.options.js';
import { denial, lifetime, throttle, type Hit, type Throttled, type ThrottlerRecord } from './throttle.js';
import { openThrottlerRoom, type ThrottlerRoom } from './throttler-room.js';

/**
 * A storage for `@nestjs/throttler` that all instances of an application share, on the server that its flows run on. Counts as the
 * throttler's own storage does, and one request after the other for each key: of a flood of concurrent requests, no more than the limit
 * pass. A key that is known to be blocked is answered without a round trip, and idle keys expire.
 *
 * Where hits of one key differ in their `blockDuration`, those without one are not held by a block and do not end it. When a block
 * ends, the key begins anew: a process that has denied one without a block may do so until the oldest hit that it knows of expires,
 * when it was another process's hit that began anew.
 *
 * @example
 * ThrottlerModule.forRootAsync({
 *   inject: [Coordination],
 *   useFactory: (coordination: Coordination) => ({
 *     throttlers: [{ ttl: seconds(60), limit: 10 }],
 *     storage: new FlowThrottlerStorage(coordination),
 *   }),
 * })
 */
export class FlowThrottlerStorage implements ThrottlerStorage {
  private readonly options: ResolvedThrottlerStorage;
  private readonly open: () => Promise<ThrottlerRoom>;
  /** States that something was denied by: others can only add hits to them, or blocks. */
  private readonly blocked: LRUCache<string, ThrottlerState>;
  private readonly log: StandInLog;
  private room: ThrottlerRoom | undefined;

  /**
   * @param coordination of the connection that hits are counted on
   * @throws ConfigurationError when the options have problems, all of them at once.
   */
  constructor(coordination: Coordination, options: FlowThrottlerStorageOptions = {}) {
    this.options = resolveThrottlerStorage(options);
    this.blocked = new LRUCache({ max: this.options.blockedKeys });
    this.log = new StandInLog(`FlowThrottlerStorage "${this.options.name}"`, coordination.log);
    this.open = openThrottlerRoom(coordination, coordinationBucket('throttler', this.options.name), this.options);
  }

  /**
   * Counts a hit of `key`. Times in milliseconds; those of the record in seconds. What happens in place of an error is logged once,
   * and that it has ended.
   *
   * @throws FlowError when the server does not answer in time, unless `onStoreError` says otherwise; ConfigurationError when a time is
   * longer than `longestTtl`.
   */
  async increment(
    key: string,
    ttl: number,
    limit: number,
    blockDuration: number,
    throttlerName: string,
  ): Promise<ThrottlerRecord> {
    const hit = { ttlMs: ttl, limit, blockMs: blockDuration };
    this.check(hit);
    const id = `${throttlerName}:${key}`;
    try {
      const room = (this.room ??= await this.open());
      // Whoever has another answer does not wait for the server.
      if (this.options.onStoreError !== 'throw' && room.isAway()) throw new ConnectionError('The connection is lost.');
      return this.answerBlocked(room, id, hit) ?? (await this.count(room, id, hit));
    } catch (error) {
      const { onStoreError } = this.options;
      if (onStoreError === 'throw' || !isAbsence(error)) throw error;
      const means = onStoreError === 'allow' ? '"allow"' : 'the storage of onStoreError';
      this.log.standsIn(means, error);
      if (onStoreError !== 'allow') return onStoreError.increment(key, ttl, limit, blockDuration, throttlerName);
      return { totalHits: 0, timeToExpire: Math.ceil(ttl / 1_000), isBlocked: false, timeToBlockExpire: 0 };
    }
  }

  private async count(room: ThrottlerRoom, id: string, hit: Hit): Promise<ThrottlerRecord> {
    let state = create(ThrottlerStateSchema);
    let throttled: Throttled | undefined;
    let lifetimeMs = Math.max(hit.ttlMs, hit.blockMs);
    let neededMs = 0;
    do {
      lifetimeMs = Math.max(lifetimeMs, neededMs);
      await room.store.write('increment', limiterKey(id), room.writeOptions(lifetimeMs), (before) => {
        state = before ?? create(ThrottlerStateSchema);
        throttled = throttle(state, hit, room.clock.now());
        neededMs = throttled.changed ? lifetime(state) : 0;
        // What is there may mean something for longer than this hit: then it is written to stay for as long.
        return throttled.changed && neededMs <= lifetimeMs ? { kind: 'write', state } : { kind: 'keep' };
      });
    } while (neededMs > lifetimeMs);
    this.log.answered();
    // The function was called at least once for the write to end well.
    const { record } = throttled as unknown as Throttled;
    if (record.isBlocked) this.blocked.set(id, state);
    else this.blocked.delete(id);
    return record;
  }

  /** The answer for a key that is known to be blocked, as the server would give it. */
  private answerBlocked({ clock }: ThrottlerRoom, id: string, hit: Hit): ThrottlerRecord | undefined {
    const state = this.blocked.get(id);
    if (state === undefined) return undefined;
    const record = denial(state, hit, clock.now());
    if (record === undefined) this.blocked.delete(id);
    return record;
  }

  private check({ ttlMs, blockMs }: Hit): void {
    const { longestTtl } = this.options;
    if (ttlMs <= longestTtl && blockMs <= longestTtl) return;
    throw new ConfigurationError('FlowThrottlerStorage', [
      `a throttler has a ttl or blockDuration of ${Math.max(ttlMs, blockMs)} ms; longestTtl is ${longestTtl} ms: raise it`,
    ]);
  }
}
