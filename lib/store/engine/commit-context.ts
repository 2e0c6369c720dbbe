import type { EntryWriter } from './entry-writer.js';
import type { Backoff } from './full-jitter.js';
import type { StateCodec } from './state-codec.js';
import type { StoredEntry } from './stored-entry.js';

/** What the commits of all keys of a store share. */
export interface CommitContext<State> {
  readonly bucket: string;
  readonly codec: StateCodec<State>;
  readonly writer: EntryWriter;
  readonly backoff: Backoff;
  /** What the store remembers of the key, or `undefined`: a guess. */
  recall(key: string): StoredEntry | undefined;
  remember(key: string, entry: StoredEntry): void;
  forget(key: string): void;
  /** The latest revision, from the leader. */
  read(key: string): Promise<StoredEntry>;
  /** The connection is closed for good. */
  isClosed(): boolean;
  readonly meter: CommitMeter;
}

/** Told what happens; every method is called often. */
export interface CommitMeter {
  conflict(): void;
  retry(): void;
  committed(size: number): void;
}
