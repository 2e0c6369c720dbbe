import type { FlowConnection } from '../connection/flow-connection.js';
import { BucketLayout } from '../store/engine/bucket-layout.js';
import { ApiCode, bucketRequest, isRefusal } from '../store/engine/bucket-request.js';
import type { CoordinationEnvironment } from './coordination-room.js';

const NANOS_PER_MS = 1_000_000;

/**
 * The age of a bucket, as an option of its store, where instances may need what they keep for different times, as while a new version
 * is rolled out: the longest of them, whichever comes last. Without that, one of a short window would have the server forget what
 * those of a long one have counted.
 */
export async function sharedAge(
  { connection, mode, defaults }: Pick<CoordinationEnvironment, 'connection' | 'mode' | 'defaults'>,
  bucket: string,
  ttlMs: number,
): Promise<{ readonly ttl?: number }> {
  if (mode === 'off') return { ttl: ttlMs };
  const present = await ageOf(connection, `${defaults.bucketPrefix ?? ''}${bucket}`);
  // Left out it stays: nothing in it expires.
  return present === Infinity ? {} : { ttl: Math.max(present, ttlMs) };
}

/** How long a bucket keeps what is in it: milliseconds, `Infinity` without an end; 0 when there is no such bucket. */
export async function ageOf({ manager }: Pick<FlowConnection, 'manager'>, bucket: string): Promise<number> {
  const { stream } = new BucketLayout(bucket);
  try {
    const { config } = await bucketRequest(`look at bucket "${bucket}"`, () => manager.streams.info(stream));
    return config.max_age === 0 ? Infinity : config.max_age / NANOS_PER_MS;
  } catch (error) {
    if (isRefusal(error, ApiCode.streamNotFound)) return 0;
    throw error;
  }
}
