import { create } from '@bufbuild/protobuf';
import { ThrottlerStateSchema, type ThrottlerState } from '../codec/gen/flow/v1/throttler_pb.js';
import { within } from '../connection/within.js';
import type { Coordination } from '../coordination/coordination.js';
import { sharedAge } from '../coordination/shared-age.js';
import type { KvReducer } from '../store/engine/kv-reducer.js';
import type { ObjectStore } from '../store/engine/object-store.js';
import type { WriteOptions } from '../store/engine/operation-queue.js';
import type { ResolvedThrottlerStorage } from './flow-throttler-storage.options.js';

/** How much longer than they mean anything states are kept: clocks of servers in a cluster differ. */
const EXPIRY_MARGIN_MS = 5_000;

/** The states of a storage's keys as state objects; changed by functions only. */
export class ThrottlerStates implements KvReducer<ThrottlerState, never, string> {
  key(key: string): string {
    return key;
  }
  empty(): ThrottlerState {
    return create(ThrottlerStateSchema);
  }
  apply(_state: ThrottlerState): void {
    // Nothing is an input.
  }
}

/** What a storage has opened. */
export interface ThrottlerRoom {
  readonly store: ObjectStore<ThrottlerStates>;
  /** The server's clock. */
  readonly clock: { now(): number };
  /** There is no connection right now. */
  isAway(): boolean;
  /** Has an entry expire some time after `lifetimeMs`, where the server can do that; the bucket's age does it otherwise. */
  writeOptions(lifetimeMs: number): WriteOptions;
}

/** A function that provisions the bucket and measures the clock at its first call, and fails after `timeout` until that is done. */
export function openThrottlerRoom(
  coordination: Coordination,
  bucket: string,
  { longestTtl, timeout }: ResolvedThrottlerStorage,
): () => Promise<ThrottlerRoom> {
  const open = coordination.open(async (room) => {
    const clock = await room.clock();
    const { connection } = room.environment;
    const entryTtl = connection.capabilities.messageTtl;
    const age = await sharedAge(room.environment, bucket, longestTtl + EXPIRY_MARGIN_MS);
    const store = await room.openStore(new ThrottlerStates(), {
      bucket,
      schema: ThrottlerStateSchema,
      description: 'Hits of @nestjs/throttler',
      ...age,
      entryTtl,
      history: 1,
      timeout,
    });
    const writeOptions = (lifetimeMs: number): WriteOptions => (entryTtl ? { ttl: lifetimeMs + EXPIRY_MARGIN_MS } : {});
    return { store, clock, isAway: () => connection.status !== 'connected', writeOptions };
  });
  return () => within(timeout, `Opening bucket "${bucket}"`, open());
}
