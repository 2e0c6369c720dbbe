import type { StoredMsg } from '@nats-io/jetstream';
import { bulkhead } from 'cockatiel';
import type { BucketLayout } from './bucket-layout.js';
import { askBucket } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';
import { ABSENT, toStoredEntry, type ReadEntry } from './stored-entry.js';

/** Requests on the way at a time; more wait. Beyond this the server only answers later, and clients time out. */
const MAX_REQUESTS = 256;

/** Who may answer a read: the stream's leader, or any replica (faster, may be stale on replicated buckets). */
export type Consistency = 'leader' | 'any';

/** Reads single entries of one bucket. */
export class BucketReader {
  private readonly limit = bulkhead(MAX_REQUESTS, Number.MAX_SAFE_INTEGER);

  constructor(
    private readonly connection: StoreConnection,
    private readonly layout: BucketLayout,
    /** Whether the bucket lets replicas answer. */
    private readonly allowsDirect: boolean,
  ) {}

  /**
   * The latest revision of a key; {@link ABSENT} when it has none.
   *
   * @throws ConnectionError without an answer, JetStreamRequestError when the server refuses, DecodeError when our
   * own headers are damaged.
   */
  async latest(key: string, consistency: Consistency = 'leader'): Promise<ReadEntry> {
    const query = { last_by_subj: this.layout.subject(key) };
    return this.toEntry(await this.get(`read "${key}" in bucket "${this.layout.bucket}"`, query, consistency));
  }

  private get(what: string, query: { last_by_subj: string }, consistency: Consistency): Promise<StoredMsg | null> {
    const { manager } = this.connection;
    const direct = consistency === 'any' && this.allowsDirect;
    return this.limit.execute(() =>
      askBucket(this.connection, what, () =>
        direct
          ? manager.direct.getMessage(this.layout.stream, query)
          : manager.streams.getMessage(this.layout.stream, query),
      ),
    );
  }

  private toEntry(message: StoredMsg | null): ReadEntry {
    if (message === null) return ABSENT;
    const where = `Bucket "${this.layout.bucket}", key "${this.layout.keyOf(message.subject)}", revision ${message.seq}`;
    const { seq: sequence, data, time, header: headers } = message;
    return toStoredEntry(where, { sequence, data, time, headers });
  }
}
