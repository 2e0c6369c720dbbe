/** Standard KV layout: any NATS client sees the same stream, subjects and markers. */

/** Names of one bucket on the server. */
export class BucketLayout {
  /** The stream that holds the bucket. */
  readonly stream: string;
  private readonly prefix: string;

  constructor(readonly bucket: string) {
    this.stream = `KV_${bucket}`;
    this.prefix = `$KV.${bucket}.`;
  }

  /** Subject of a key, or filter of a pattern. */
  subject(key: string): string {
    return this.prefix + key;
  }

  /** The key at `subject`. */
  keyOf(subject: string): string {
    return subject.slice(this.prefix.length);
  }
}

/** Header that marks an entry as a deletion, with the value `DEL` or `PURGE`. */
export const KV_OPERATION = 'KV-Operation';

/** Headers of a message that drops all older revisions of its subject. */
export const ROLLUP_HEADER = 'Nats-Rollup';
export const ROLLUP_SUBJECT = 'sub';

/** Time after which the server removes the message: `90s`. */
export const TTL_HEADER = 'Nats-TTL';

/** Set by the server on the marker it leaves when an entry expired or was removed by a limit. */
export const MARKER_REASON = 'Nats-Marker-Reason';
