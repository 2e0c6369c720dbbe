import type { StoredMsg } from '@nats-io/jetstream';
import { NoRespondersError, RequestError } from '@nats-io/transport-node';
import { bulkhead } from 'cockatiel';
import type { BucketLayout } from './bucket-layout.js';
import { ApiCode, askBucket, inTime, isRefusal } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';
import { connectedAgain } from '../../connection/unless-lost.js';
import { ABSENT, toStoredEntry, type ReadEntry } from './stored-entry.js';

/**
 * Requests on the way at a time; more wait. Beyond this the server only answers later, and clients time out. The first half
 * goes without the bulkhead, which costs half as much as a read.
 */
const MAX_REQUESTS = 256;

/** How long a read waits for a lost connection, unless it is told: thousands may wait, and none shall be busy with it. */
const PATIENCE_MS = 5_000;

/** Who may answer a read: the stream's leader, or any replica (faster, may be stale on replicated buckets). */
export type Consistency = 'leader' | 'any';

/** Reads single entries of one bucket. */
export class BucketReader {
  private readonly limit = bulkhead(MAX_REQUESTS / 2, Number.MAX_SAFE_INTEGER);
  private free = MAX_REQUESTS / 2;

  constructor(
    private readonly connection: StoreConnection,
    private readonly layout: BucketLayout,
    /** Whether the bucket lets replicas answer. */
    private readonly allowsDirect: boolean,
    /** Called when a read finds that there is no bucket. */
    private readonly onGone: () => void,
  ) {}

  /**
   * The latest revision of a key; {@link ABSENT} when it has none.
   *
   * @param patienceMs how long it waits for a lost connection, or a server that is silent, before it gives up
   * @throws ConnectionError without an answer, JetStreamRequestError when the server refuses, DecodeError when our
   * own headers are damaged.
   */
  async latest(key: string, consistency: Consistency = 'leader', patienceMs: number = PATIENCE_MS): Promise<ReadEntry> {
    if (this.connection.status === 'disconnected') await connectedAgain(this.connection, patienceMs);
    const query = { last_by_subj: this.layout.subject(key) };
    const what = `read "${key}" in bucket "${this.layout.bucket}"`;
    try {
      const answer = this.get(what, query, consistency);
      return this.toEntry(await inTime(this.connection, what, patienceMs, answer));
    } catch (error) {
      if (isRefusal(error, ApiCode.streamNotFound)) this.onGone();
      throw error;
    }
  }

  private get(what: string, query: { last_by_subj: string }, consistency: Consistency): Promise<StoredMsg | null> {
    const { manager } = this.connection;
    const { stream } = this.layout;
    const direct = consistency === 'any' && this.allowsDirect;
    const ask = (): Promise<StoredMsg | null> =>
      askBucket(this.connection, what, () =>
        direct ? this.getDirect(query) : manager.streams.getMessage(stream, query),
      );
    return this.free > 0 ? this.freely(ask) : this.limit.execute(ask);
  }

  private async getDirect(query: { last_by_subj: string }): Promise<StoredMsg | null> {
    const { manager } = this.connection;
    const { stream } = this.layout;
    try {
      return await manager.direct.getMessage(stream, query);
    } catch (error) {
      const isUnheard = error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
      if (!isUnheard) throw error;
      // Asked in the common way, the server says why: the bucket is gone, or its leader.
      return manager.streams.getMessage(stream, query);
    }
  }

  private async freely<T>(ask: () => Promise<T>): Promise<T> {
    this.free -= 1;
    try {
      return await ask();
    } finally {
      this.free += 1;
    }
  }

  private toEntry(message: StoredMsg | null): ReadEntry {
    if (message === null) return ABSENT;
    const { seq: sequence, data, time, header: headers, subject } = message;
    const where = (): string =>
      `Bucket "${this.layout.bucket}", key "${this.layout.keyOf(subject)}", revision ${sequence}`;
    return toStoredEntry(where, { sequence, data, time, headers });
  }
}
