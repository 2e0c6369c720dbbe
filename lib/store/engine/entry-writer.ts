import {
  ConnectionError,
  JetStreamRequestError,
  PublishTimeoutError,
  WrongLastSequenceError,
} from '../../common/errors.js';
import { FlowHeader } from '../../common/names.js';
import type { PublishResult } from '../../connection/publisher.js';
import type { RememberLimits } from './applied-keys.js';
import { KV_OPERATION, ROLLUP_HEADER, ROLLUP_SUBJECT, TTL_HEADER, type BucketLayout } from './bucket-layout.js';
import { isForbidden } from './bucket-request.js';
import type { StoreConnection } from './store-connection.js';
import type { StoredEntry } from './stored-entry.js';
import { Writer } from './writer-marks.js';

/** Media type of the value, with the name of its message type. */
const CONTENT_TYPE = 'Content-Type';

/** What an {@link EntryWriter} puts beside the values. */
export interface EntryWriterOptions {
  readonly contentType: string;
  readonly schemaVersion: number;
  readonly remember: RememberLimits;
  /** Milliseconds after which deletion markers go; `undefined`: they stay. */
  readonly cleanupMs: number | undefined;
  /** Revisions that the bucket keeps per key. */
  readonly history: number;
  /** Milliseconds that a message stays at least before it may expire; `Infinity`: none expires. */
  readonly shortestLifeMs: number;
}

/** What one write is about, beside its data. */
export interface WriteDetails {
  /** Drops the history too. */
  readonly purge: boolean;
  /** Hashes of the idempotency keys that it applies. */
  readonly hashes: readonly Buffer[];
  /** Milliseconds after which the entry expires. */
  readonly ttlMs: number | undefined;
  /**
   * Schema version of the state that the data was made from; 0 when it was made from none. An older program leaves an entry
   * at the higher version that it has: a newer one would migrate it again.
   */
  readonly madeFrom: number;
  /** Of the data, when it was not encoded just now. @default the writer's, or a higher one it was made from */
  readonly schemaVersion?: number;
}

/** What became of one sending of a write. */
export type WriteOutcome =
  /** Stored, as `entry`. */
  | { readonly kind: 'stored'; readonly entry: StoredEntry }
  /** The key was at another revision, and this was the only sending. */
  | { readonly kind: 'conflict' }
  /** No answer, or an answer that may be to an earlier sending. */
  | { readonly kind: 'unknown' };

/** What a read of the key says about a write whose answer was lost. */
export type Verdict =
  | 'applied'
  /** It was not, and can no longer be. */
  | 'not applied'
  /** Not yet: the key is where it was. */
  | 'pending'
  /** The entry was replaced by a client that keeps no marks, or has expired. */
  | 'unknowable';

/** Writes entries of one bucket by compare-and-set. */
export class EntryWriter {
  private readonly writer = new Writer();
  private readonly subjectPrefix: string;
  private readonly contentType: readonly [string, string];

  constructor(
    private readonly connection: StoreConnection,
    layout: BucketLayout,
    private readonly options: EntryWriterOptions,
  ) {
    // In another JetStream domain, KV subjects are reached through the domain's API prefix.
    const prefix = connection.apiPrefix === '$JS.API' ? '' : `${connection.apiPrefix}.`;
    this.subjectPrefix = prefix + layout.subject('');
    this.contentType = [CONTENT_TYPE, options.contentType];
  }

  /** A write of `data`, or of a deletion marker, that holds only while the key is at `base`. */
  prepare(key: string, base: StoredEntry, data: Uint8Array | undefined, details: WriteDetails): PreparedWrite {
    const commit = this.writer.next();
    const { schemaVersion = Math.max(this.options.schemaVersion, details.madeFrom) } = details;
    const writers = base.writers.with(this.writer.id, commit, base.revision);
    const applied = base.applied.with(details.hashes, this.options.remember);
    const marks = [FlowHeader.writers, writers.text] as const;
    const headers: Header[] = [marks, data === undefined ? deletion(details.purge) : this.contentType];
    if (details.purge) headers.push([ROLLUP_HEADER, ROLLUP_SUBJECT]);
    const expiresMs = data === undefined ? this.markerTtl(details.purge) : details.ttlMs;
    if (expiresMs !== undefined) headers.push([TTL_HEADER, `${Math.ceil(expiresMs / 1_000)}s`]);
    if (schemaVersion > 0) headers.push([FlowHeader.schemaVersion, String(schemaVersion)]);
    if (applied.size > 0) {
      const { hashes: hashText, times } = applied.toHeaders();
      headers.push([FlowHeader.applied, hashText], [FlowHeader.appliedAt, times]);
    }
    const message = { subject: this.subjectPrefix + key, data: data ?? EMPTY, headers, expected: base.revision };
    const after = { revision: 0, data, schemaVersion, applied, writers };
    return new PreparedWrite(this.connection, key, message, base, after, this.options.shortestLifeMs);
  }

  /** A marker with older revisions behind it must stay, or the latest of them would be the entry again. */
  private markerTtl(purge: boolean): number | undefined {
    return purge || this.options.history === 1 ? this.options.cleanupMs : undefined;
  }
}

type Header = readonly [name: string, value: string];

function deletion(purge: boolean): Header {
  return [KV_OPERATION, purge ? 'PURGE' : 'DEL'];
}

/** A write as a message. */
export interface EntryMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: readonly Header[];
  /** The key's revision that it is for. */
  readonly expected: number;
}

const EMPTY = new Uint8Array(0);

/** One write: may be sent several times, is stored at most once. */
export class PreparedWrite {
  constructor(
    private readonly connection: StoreConnection,
    readonly key: string,
    readonly message: EntryMessage,
    private readonly base: StoredEntry,
    /** What the entry is then, but for its revision. */
    private readonly after: StoredEntry,
    private readonly shortestLifeMs: number,
  ) {}

  /** The entry, once it is stored at that revision. */
  entryAt(revision: number): StoredEntry {
    const { data, schemaVersion, applied, writers } = this.after;
    return { revision, data, schemaVersion, applied, writers };
  }

  /** Sends it. {@link outcomeOf} tells what the end of the promise means. */
  publish(): Promise<PublishResult> {
    const { subject, data, headers, expected } = this.message;
    return this.connection.publisher.publish(subject, data, { headers, expectLastSubjectSequence: expected });
  }

  /** @throws FlowError when the server refuses the write for good, and nothing of it is stored. */
  async outcomeOf(published: Promise<PublishResult>): Promise<WriteOutcome> {
    try {
      return { kind: 'stored', entry: this.entryAt((await published).sequence) };
    } catch (error) {
      if (error instanceof JetStreamRequestError && error.repeated) return { kind: 'unknown' };
      if (error instanceof WrongLastSequenceError) return { kind: 'conflict' };
      if (isForbidden(error)) throw error;
      if (error instanceof PublishTimeoutError || error instanceof ConnectionError) return { kind: 'unknown' };
      throw error;
    }
  }

  /**
   * What `now`, read after the last sending, says.
   *
   * @param sentMs milliseconds that have passed since the first sending, or more
   */
  judge(now: StoredEntry, sentMs: number): Verdict {
    const { id, commit } = this.after.writers;
    const { revision } = this.base;
    const { writers } = now;
    const mark = writers.last(id);
    if (mark !== undefined && mark >= commit) return 'applied';
    // Had it come, and were gone again by its expiry, the same write would make the same entry once more.
    if (now.revision === revision) return 'pending';
    if (writers.isEmpty || writers.isFull) return 'unknowable';
    // The list is older than the write, which would be in it.
    if ((writers.since || now.revision) <= revision) return 'not applied';
    // It was begun by another's write for the same revision, which comes but once; having no message comes again.
    const isOnce = revision > 0 || sentMs < this.shortestLifeMs;
    return writers.on === revision && isOnce ? 'not applied' : 'unknowable';
  }
}
