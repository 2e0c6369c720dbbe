import type { BucketLayout } from './bucket-layout.js';
import { askBucket } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';

/**
 * The leader's latest revision of all keys of a pattern; 0 when there is none. Everything that was acknowledged before is
 * up to it: who reads from a replica, which may be behind, has seen all of that once it has seen this one.
 */
export async function lastRevision(
  connection: StoreConnection,
  layout: BucketLayout,
  pattern: string,
): Promise<number> {
  const last = { last_by_subj: layout.subject(pattern) };
  const message = await askBucket(connection, `look at "${pattern}" in bucket "${layout.bucket}"`, () =>
    connection.manager.streams.getMessage(layout.stream, last),
  );
  return message?.seq ?? 0;
}
