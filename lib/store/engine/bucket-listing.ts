import { AckPolicy, DeliverPolicy, ReplayPolicy, type Consumer, type JsMsg } from '@nats-io/jetstream';
import { nanos, nuid } from '@nats-io/transport-node';
import { ConnectionError } from '../../common/errors.js';
import type { BucketLayout } from './bucket-layout.js';
import { ApiCode, askBucket, bucketRequest, isPassing, isRefusal } from './bucket-request.js';
import { fullJitter } from './full-jitter.js';
import { lastRevision } from './last-revision.js';
import type { StoreConnection } from './store-connection.js';
import { toRevision, type StoredRevision } from './stored-entry.js';

/** Revisions asked for at a time: what is in memory at most. */
const PAGE = 256;
const PAGE_EXPIRES_MS = 2_000;
/** The server removes the consumer by itself when we are gone this long. */
const INACTIVE_MS = 60_000;
/** A listing that gets nowhere this long fails. */
const PATIENCE_MS = 30_000;
const RETRY = { initialMs: 50, maxMs: 2_000 };

export interface ListingOptions {
  /** Key pattern. */
  readonly pattern: string;
  /** The latest revision of every key, or all revisions that are kept. */
  readonly include: 'last' | 'history';
  /** Without values: only keys are of interest. */
  readonly keysOnly: boolean;
  readonly signal: AbortSignal | undefined;
}

/** One listed revision. */
export interface Listed {
  readonly key: string;
  readonly revision: StoredRevision;
}

/**
 * The revisions of a key pattern in the order in which they were written, page by page: the reader's pace decides how
 * fast they are fetched. Deletions are included. A key written while the listing runs may come again with its
 * newer revision. Goes on after a reconnect.
 *
 * @throws ConnectionError when the server does not answer for 30 seconds, JetStreamRequestError when it refuses.
 */
export async function* listRevisions(
  connection: StoreConnection,
  layout: BucketLayout,
  options: ListingOptions,
): AsyncGenerator<Listed, void, undefined> {
  const pause = fullJitter(RETRY, options.signal);
  let last = 0;
  let progress = performance.now();
  while (!isAborted(options)) {
    try {
      for await (const message of listOnce(connection, layout, options)) {
        progress = performance.now();
        // A second attempt begins at the start again.
        if (message.seq <= last) continue;
        last = message.seq;
        const revision = toRevision({
          sequence: message.seq,
          data: message.data,
          time: message.time,
          headers: message.headers,
        });
        yield { key: layout.keyOf(message.subject), revision };
        if (isAborted(options)) return;
        progress = performance.now();
      }
      return;
    } catch (error) {
      if (!isPassing(error) || performance.now() - progress > PATIENCE_MS) throw error;
      await pause();
    }
  }
}

/** Asked anew each time: it changes while the reader works on what it got. */
function isAborted({ signal }: ListingOptions): boolean {
  return signal?.aborted === true;
}

/** One attempt, by a pull consumer of its own. @throws ConnectionError when it breaks off. */
async function* listOnce(
  connection: StoreConnection,
  layout: BucketLayout,
  options: ListingOptions,
): AsyncGenerator<JsMsg, void, undefined> {
  const what = `list "${options.pattern}" in bucket "${layout.bucket}"`;
  const { manager } = connection;
  const name = `list_${nuid.next()}`;
  let until = await lastRevision(connection, layout, options.pattern);
  if (until === 0) return;
  const info = await askBucket(connection, what, () =>
    manager.consumers.add(layout.stream, {
      name,
      filter_subject: layout.subject(options.pattern),
      deliver_policy: options.include === 'last' ? DeliverPolicy.LastPerSubject : DeliverPolicy.All,
      ack_policy: AckPolicy.None,
      replay_policy: ReplayPolicy.Instant,
      headers_only: options.keysOnly,
      inactive_threshold: nanos(INACTIVE_MS),
      mem_storage: true,
      num_replicas: 1,
    }),
  );
  try {
    let pending = info.num_pending;
    let last = 0;
    const consumer = manager.jetstream().consumers.getConsumerFromInfo(info);
    // The consumer may sit on a replica that is behind; there, what is missing is about to come.
    while (pending > 0 || last < until) {
      const page = await fetchPage(what, consumer, until);
      for (const message of page) {
        pending = message.info.pending;
        last = message.seq;
        yield message;
      }
      if (page.length > 0) continue;
      if (pending > 0) throw new ConnectionError(`Cannot ${what}: the server stopped delivering.`);
      // Or it is gone meanwhile.
      until = await lastRevision(connection, layout, options.pattern);
    }
  } finally {
    await removeConsumer(connection, layout.stream, name);
  }
}

/** @param until the page ends with this revision, or a later one, when no more is pending then */
async function fetchPage(what: string, consumer: Consumer, until: number): Promise<JsMsg[]> {
  return bucketRequest(what, async () => {
    const page: JsMsg[] = [];
    const messages = await consumer.fetch({ max_messages: PAGE, expires: PAGE_EXPIRES_MS });
    for await (const message of messages) {
      page.push(message);
      // Otherwise the last page would take as long as it may.
      if (message.info.pending === 0 && message.seq >= until) break;
    }
    return page;
  });
}

async function removeConsumer(connection: StoreConnection, stream: string, name: string): Promise<void> {
  if (connection.status !== 'connected') return;
  try {
    await bucketRequest('end a listing', () => connection.manager.consumers.delete(stream, name));
  } catch (error) {
    const gone = isRefusal(error, ApiCode.consumerNotFound) || isRefusal(error, ApiCode.streamNotFound);
    // Unreachable: the server removes it after a while.
    if (!gone && !isPassing(error)) throw error;
  }
}
