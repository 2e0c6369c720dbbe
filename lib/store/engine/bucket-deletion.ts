import type { BucketLayout } from './bucket-layout.js';
import type { StoreConnection } from './store-connection.js';

/** Where the server tells that a stream was deleted. */
const ADVISORY = '$JS.EVENT.ADVISORY.STREAM.DELETED.';

/**
 * Calls `listener` when the server tells that the bucket was deleted, whoever did it: made anew, it counts revisions from 1,
 * and what was remembered would fit some of them by chance. The server tells it a moment later, once, and only to
 * accounts that may subscribe to it; for others nothing is called.
 *
 * @returns a function that ends it
 */
export function onBucketDeleted(connection: StoreConnection, layout: BucketLayout, listener: () => void): () => void {
  const subscription = connection.nats.subscribe(ADVISORY + layout.stream, {
    callback: (refused) => {
      // A refusal is in the connection's log.
      if (refused === null) listener();
    },
  });
  return () => subscription.unsubscribe();
}
