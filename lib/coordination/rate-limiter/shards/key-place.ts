import { hashedKey, LONGEST_KEY } from '../../stored-key.js';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Segments of a shard, and messages that say all of it: each holds another segment. */
export const SEGMENTS = 32;

/**
 * What a key is stored under in its shard: itself, or the hash of one that is long. Halves of surrogate pairs, which UTF-8 has no
 * bytes for, are replaced, as they are in the names of entries.
 */
export function storedName(key: string): string {
  return key.length <= LONGEST_KEY ? key.toWellFormed() : hashedKey(key);
}

/** Where a key is among the shards of a limiter, and in its shard. */
export function placeOf(key: string, shards: number): { readonly shard: number; readonly segment: number } {
  const hash = keyHash(key);
  return { shard: hash % shards, segment: Math.floor(hash / shards) % SEGMENTS };
}

/** The 32-bit FNV-1a hash of a key's bytes in UTF-8. All processes, in any language, find the place of a key by it. */
export function keyHash(key: string): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index);
    if (code > 0x7f) return hashOf(Buffer.from(key, 'utf8'));
    hash = Math.imul(hash ^ code, FNV_PRIME);
  }
  return hash >>> 0;
}

function hashOf(bytes: Uint8Array): number {
  let hash = FNV_OFFSET;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, FNV_PRIME);
  return hash >>> 0;
}
