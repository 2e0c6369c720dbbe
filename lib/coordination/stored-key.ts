import { createHash } from 'node:crypto';
import { KeySpace, type StoreKey } from '../store/engine/store-key.js';

/** Longest key that is stored as it is; keys often come from outside, and subjects must not be long. */
export const LONGEST_KEY = 256;
const keySpace = new KeySpace(undefined);

/** Where what belongs to a key is stored: under itself, or under the hash of one that is long. */
export function storedKey(key: string): StoreKey {
  if (key.length <= LONGEST_KEY) {
    // Escaped it may be longer.
    const stored = keySpace.keyOf(key);
    if (stored.text.length <= LONGEST_KEY) return stored;
  }
  return keySpace.keyOf(hashedKey(key));
}

/** What stands for a long key. */
export function hashedKey(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
