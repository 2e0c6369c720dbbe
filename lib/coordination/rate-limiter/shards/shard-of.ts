import { createHash } from 'node:crypto';

/** Longest key that is stored as it is; keys often come from outside. */
const LONGEST_KEY = 256;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * What a key is stored under in its shard: itself, or the hash of one that is long. Halves of surrogate pairs, which UTF-8 has no
 * bytes for, are replaced, as they are in the names of entries.
 */
export function storedName(key: string): string {
  return key.length <= LONGEST_KEY ? key.toWellFormed() : `sha256:${createHash('sha256').update(key).digest('hex')}`;
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
