import { createHash } from 'node:crypto';
import { escapeToken } from '../common/names.js';
import { KeySpace, type StoreKey } from '../store/engine/store-key.js';

/** Longest key that is stored as it is; keys often come from outside, and subjects must not be long. */
const LONGEST_KEY = 256;
const keySpace = new KeySpace(undefined);

/** Where what belongs to a key is stored: under itself, or under the hash of one that is long. */
export function storedKey(key: string): StoreKey {
  if (escapeToken(key).length <= LONGEST_KEY) return keySpace.keyOf(key);
  return keySpace.keyOf(`sha256:${createHash('sha256').update(key).digest('hex')}`);
}
