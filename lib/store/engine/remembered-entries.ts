import { LRUCache } from 'lru-cache';
import type { StoredEntry } from './stored-entry.js';

/** Limits of what a store keeps of the entries it wrote or read last. */
export interface CacheLimits {
  readonly entries: number;
  readonly bytes: number;
}

/** Memory of an entry beside its bytes: objects, the key, the map's own. */
const OVERHEAD_BYTES = 400;

/**
 * The entries written last, as bytes, so that the next update of a key needs no read. They are guesses: other
 * processes write too. A write based on one is checked by its revision; nothing else may be decided by them.
 */
export class RememberedEntries {
  private readonly cache: LRUCache<string, StoredEntry>;

  constructor(limits: CacheLimits) {
    this.cache = new LRUCache({
      max: limits.entries,
      maxSize: limits.bytes,
      sizeCalculation: (entry, key) => sizeOf(entry, key),
    });
  }

  get(key: string): StoredEntry | undefined {
    return this.cache.get(key);
  }

  set(key: string, entry: StoredEntry): void {
    this.cache.set(key, entry);
  }

  forget(key: string): void {
    this.cache.delete(key);
  }

  /** After a reconnect: the server may have come back with another store, in which revisions begin anew. */
  forgetAll(): void {
    this.cache.clear();
  }

  /** Bytes held, about. */
  get bytes(): number {
    return this.cache.calculatedSize;
  }
}

function sizeOf(entry: StoredEntry, key: string): number {
  return (
    OVERHEAD_BYTES + key.length * 2 + (entry.data?.byteLength ?? 0) + entry.applied.bytes + entry.writers.text.length
  );
}
