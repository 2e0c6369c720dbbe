import type { AppliedBatch } from './apply-batch.js';
import type { PublishResult } from '../../connection/publisher.js';
import type { EntryCodec } from './entry-codec.js';
import type { EntryWriter, PreparedWrite } from './entry-writer.js';
import type { Backoff } from './full-jitter.js';
import type { StoredEntry } from './stored-entry.js';

/** What the commits of all keys of a store share. */
export interface CommitContext<State> {
  readonly bucket: string;
  readonly codec: EntryCodec<State>;
  readonly writer: EntryWriter;
  readonly backoff: Backoff;
  /** Milliseconds that an idempotency key counts. */
  readonly rememberMs: number;
  /** The bucket keeps older revisions of a key. */
  readonly keepsHistory: boolean;
  /** What the store believes of the key, or `undefined` when it has to be read. */
  recall(key: string): Belief | undefined;
  remember(key: string, entry: StoredEntry): void;
  forget(key: string): void;
  /** Another writer came first. */
  lost(key: string): void;
  /** The latest revision, from the leader; `patienceMs`: how long its answer is waited for. */
  read(key: string, patienceMs?: number): Promise<StoredEntry>;
  /** The connection is closed for good. */
  isClosed(): boolean;
  readonly meter: CommitMeter;
}

/** An entry that may be out of date: a write based on it is checked, nothing else may be decided by it. */
export interface Belief {
  readonly entry: StoredEntry;
  /** `remembered`: it was so once. `guessed`: nothing is known of the key. */
  readonly kind: 'remembered' | 'guessed';
}

/** The state a batch is applied to: from the leader just now, or believed. */
export type Base = Belief | { readonly entry: StoredEntry; readonly kind: 'fresh' };

/** A write that is on its way, and what it is of. */
export interface Begun<State> {
  readonly base: Base;
  readonly applied: AppliedBatch<State>;
  readonly write: PreparedWrite;
  /** By the performance clock. */
  readonly startedAt: number;
  readonly published: Promise<PublishResult>;
}

/** A write that was applied. */
export interface Written {
  /** `undefined` when the reply was lost, and only what is stored now tells of it. */
  readonly revision: number | undefined;
}

/** How a write ended that was not applied for all that is known: another came first, or its outcome cannot be known. */
export type Unwritten = 'lost' | 'unknowable';

/** Told what happens; every method is called often. */
export interface CommitMeter {
  conflict(): void;
  retry(): void;
  committed(size: number): void;
}
