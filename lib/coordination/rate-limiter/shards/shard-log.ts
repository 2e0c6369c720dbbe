import type { StoredEntry } from '../../../store/engine/stored-entry.js';
import { revisionsBefore, type ShardCommit } from './shard-commit.js';
import { placeOf, SEGMENTS } from './key-place.js';

/** Messages that a bucket keeps per shard: others may write as many more as are not needed while somebody reads back. */
export const SHARD_HISTORY = 2 * SEGMENTS;

/** The state of a key as the process knows it. */
export class KnownState {
  constructor(
    /** Its bytes, one per character. */
    readonly text: string,
    /** When it was changed last, by the server's clock; `undefined`: nobody has looked yet. */
    public atMs: number | undefined,
  ) {}
}

/** Keys with their states. */
export type Segment = Map<string, KnownState>;

/** What the process knows of one shard: the states of its keys as of one of its messages. */
export class ShardLog {
  /** The message as of which the states are; `undefined`: nothing is known. */
  entry: StoredEntry | undefined;
  /** For all that is known, `entry` is the shard's last message. */
  believed = false;
  /** `entry` is a message of the bucket that is there now. */
  private trusted = false;
  private segments: Segment[] = emptySegments();
  /** Of `entry`; negative when that says nothing of any key. */
  private number = -1;
  /** Of `entry` and of the messages before it that the next one tells of, the latest first. */
  private revisions: readonly number[] = [];
  /** Changes whenever the bucket may have become another. */
  private era = 0;

  constructor(private readonly shards: number) {}

  get revision(): number {
    return this.entry?.revision ?? 0;
  }

  /** What was asked for in another is not to be relied on. */
  get epoch(): number {
    return this.era;
  }

  /** What the next message says beside its keys. */
  get next(): Omit<ShardCommit, 'keys'> {
    const { number, shards, revisions } = this;
    const gaps = revisions.slice(1).map((revision, index) => (revisions[index] as number) - revision);
    return { previous: revisions[0] ?? 0, number: number + 1, shards, gaps };
  }

  /** Whether all is known up to a revision, or further. */
  reaches(revision: number): boolean {
    return this.trusted && this.revision >= revision;
  }

  /** How many messages a commit has after `entry`, itself included; `undefined`: it does not come after it. */
  distanceTo(commit: ShardCommit): number | undefined {
    const index = revisionsBefore(commit).indexOf(this.revision);
    const fits = this.trusted && this.number >= 0 && commit.number === this.number + index + 1;
    return index >= 0 && fits ? index + 1 : undefined;
  }

  segment(index: number): Segment {
    return this.segments[index] as Segment;
  }

  /** Goes on by a message of this process: changes to any segment, and keys that mean nothing any more in the one that it holds. */
  goOn(
    entry: StoredEntry,
    number: number,
    changed: Iterable<readonly [string, ChangedKey]>,
    over: readonly string[],
  ): void {
    const held = this.segment(number % SEGMENTS);
    for (const key of over) held.delete(key);
    for (const [key, { segment, state }] of changed) put(this.segment(segment), key, state);
    this.entry = entry;
    this.number = number;
    this.revisions = [entry.revision, ...this.revisions].slice(0, SEGMENTS - 1);
  }

  /** Goes on by messages of whatever process, the oldest first, up to `entry`, which is of the last one. */
  apply(entry: StoredEntry, commits: readonly ShardCommit[]): void {
    for (const { number, keys } of commits) {
      this.segments[number % SEGMENTS] = new Map();
      for (const [key, text] of keys) {
        const state = text === undefined ? undefined : new KnownState(text, undefined);
        put(this.segment(placeOf(key, this.shards).segment), key, state);
      }
    }
    const last = commits.at(-1);
    this.entry = entry;
    this.number = last?.number ?? -1;
    this.revisions = last === undefined ? [] : [entry.revision, ...revisionsBefore(last)].slice(0, SEGMENTS - 1);
    this.trusted = true;
  }

  /** There is nothing but `entry`, which says nothing of any key. */
  clear(entry: StoredEntry): void {
    this.empty();
    this.apply(entry, []);
  }

  /** Begins anew, for messages that say all. */
  empty(): void {
    this.segments = emptySegments();
  }

  /**
   * The bucket may be another by now, in which revisions begin anew. What is known stays until it is read again, for those who
   * go by it right now: what they write is checked by the revision.
   */
  distrust(): void {
    this.believed = false;
    this.trusted = false;
    this.era += 1;
  }
}

/** A key that operations have changed. */
export interface ChangedKey {
  readonly segment: number;
  /** `undefined`: removed. */
  readonly state: KnownState | undefined;
}

/** A shard with what operations have changed in it, until that is stored. */
export class ShardDraft {
  readonly changed = new Map<string, ChangedKey>();

  constructor(readonly log: ShardLog) {}

  /** The state of a key. */
  get(segment: number, key: string): KnownState | undefined {
    const changed = this.changed.get(key);
    return changed === undefined ? this.log.segment(segment).get(key) : changed.state;
  }
}

function put(segment: Segment, key: string, state: KnownState | undefined): void {
  if (state === undefined) segment.delete(key);
  else segment.set(key, state);
}

function emptySegments(): Segment[] {
  return Array.from({ length: SEGMENTS }, () => new Map<string, KnownState>());
}
