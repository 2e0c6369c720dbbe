import { LRUCache } from 'lru-cache';
import type { AppliedKeys } from './applied-keys.js';
import type { StoredEntry } from './stored-entry.js';
import { WriterMarks } from './writer-marks.js';

/** Limits of what a store keeps of the entries it wrote or read last. */
export interface CacheLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Memory of an entry beside its bytes: objects, the key, the map's own. */
const OVERHEAD_BYTES = 300;

/**
 * An entry as few objects as it can be: there are many of them and they live long, which is what costs a garbage
 * collector. Bytes as text of one byte per character are a single object, an array of bytes is three.
 */
interface PackedEntry {
  readonly revision: number;
  readonly data: string | undefined;
  readonly schemaVersion: number;
  readonly applied: AppliedKeys;
  readonly writer: string;
  readonly commit: number;
  readonly otherWriters: string;
  readonly writersOn: number;
  readonly writersSince: number;
}

/**
 * The entries written last, so that the next update of a key needs no read. They are guesses: other processes write
 * too. A write based on one is checked by its revision; nothing else may be decided by them.
 */
export class RememberedEntries {
  private readonly cache: LRUCache<string, PackedEntry>;

  constructor(limits: CacheLimits) {
    this.cache = new LRUCache({
      max: limits.entries,
      maxSize: limits.bytes,
      sizeCalculation: (entry, key) => sizeOf(entry, key),
    });
  }

  /** The entry, in bytes of the caller's own. */
  get(key: string): StoredEntry | undefined {
    const packed = this.cache.get(key);
    if (packed === undefined) return undefined;
    return {
      revision: packed.revision,
      data: packed.data === undefined ? undefined : Buffer.from(packed.data, 'latin1'),
      schemaVersion: packed.schemaVersion,
      applied: packed.applied,
      writers: new WriterMarks(
        packed.writer,
        packed.commit,
        packed.otherWriters,
        packed.writersOn,
        packed.writersSince,
      ),
    };
  }

  set(key: string, entry: StoredEntry): void {
    const { revision, data, schemaVersion, applied, writers } = entry;
    const text =
      data === undefined ? undefined : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('latin1');
    this.cache.set(key, {
      revision,
      data: text,
      schemaVersion,
      applied,
      writer: writers.id,
      commit: writers.commit,
      otherWriters: writers.others,
      writersOn: writers.on,
      writersSince: writers.since,
    });
  }

  /** Whether an entry is remembered as it was before `revision`. */
  isBehind(key: string, revision: number): boolean {
    const known = this.cache.peek(key)?.revision;
    return known !== undefined && known < revision;
  }

  forget(key: string): void {
    this.cache.delete(key);
  }

  /** After a reconnect or a deletion of the bucket: it may be another now, in which revisions begin anew. */
  forgetAll(): void {
    this.cache.clear();
  }

  /** Bytes held, about. */
  get bytes(): number {
    return this.cache.calculatedSize;
  }
}

function sizeOf(entry: PackedEntry, key: string): number {
  return OVERHEAD_BYTES + key.length + (entry.data?.length ?? 0) + entry.applied.bytes + entry.otherWriters.length;
}
