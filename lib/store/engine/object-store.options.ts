import type { Consistency } from './bucket-reader.js';

export interface ReadOptions {
  /**
   * `'leader'` always sees the latest write. `'any'` lets every replica answer: faster, and on replicated buckets
   * it may be a moment behind. @default 'leader'
   */
  readonly consistency?: Consistency;
  /** Gives up when it aborts. */
  readonly signal?: AbortSignal;
}

export interface ListOptions {
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
}

/** What a bucket holds. */
export interface BucketStatus {
  readonly bucket: string;
  /** Keys with a message: entries, and deletions that are not purged yet. Of the whole bucket, whatever the scope. */
  readonly keys: number;
  /** Bytes on the server's disk or in its memory, on one replica. */
  readonly bytes: number;
  /** Revision of the last write. */
  readonly lastRevision: number;
}
