import { ConfigurationError } from '../../common/errors.js';
import { MAX_ATOMIC } from './atomic-batch.js';

/** Keys named in full; of more, the number is told. */
const FEW = 10;

/** Keys for people: all of a few. */
export function nameKeys(keys: readonly string[]): string {
  const few = keys.slice(0, FEW).map((key) => `"${key}"`);
  return few.join(', ') + (keys.length > few.length ? ` and ${keys.length - few.length} more` : '');
}

/** @throws ConfigurationError when a transaction cannot be of these keys. */
export function checkKeys(bucket: string, keys: readonly string[]): void {
  const problems: string[] = [];
  if (keys.length === 0 || keys.length > MAX_ATOMIC)
    problems.push(`it has ${keys.length} keys; a transaction has 1 to ${MAX_ATOMIC}`);
  const seen = new Set<string>();
  const twice = keys.find((key) => seen.size === seen.add(key).size);
  if (twice !== undefined) problems.push(`it has the key "${twice}" twice`);
  if (problems.length > 0) throw new ConfigurationError(`A transaction in bucket "${bucket}"`, problems);
}
