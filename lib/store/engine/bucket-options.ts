/** What a bucket is on the server. Fields left out are left to the server or to whoever made the bucket. */
export interface BucketOptions {
  readonly bucket: string;
  readonly description: string | undefined;
  readonly ttlMs: number | undefined;
  readonly history: number | undefined;
  readonly replicas: number | undefined;
  readonly storage: 'file' | 'memory' | undefined;
  readonly maxValueBytes: number | undefined;
  readonly maxBytes: number | undefined;
  /** Entries may have a time to live of their own. */
  readonly entryTtl: boolean;
  /** Several keys may be written at once. */
  readonly transactions: boolean;
  /** How long traces of deleted and expired entries stay. */
  readonly cleanupMs: number | undefined;
}

/** `auto` creates and updates, `verify` only looks, `off` does nothing at all. */
export type BucketProvisionMode = 'auto' | 'verify' | 'off';
