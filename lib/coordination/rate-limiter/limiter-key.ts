import { createHash } from 'node:crypto';
import { ConfigurationError } from '../../common/errors.js';
import { KeySpace, type StoreKey } from '../../store/engine/store-key.js';

/** Longest key that is stored as it is; keys often come from outside, and subjects must not be long. */
const LONGEST_KEY = 256;
const keySpace = new KeySpace(undefined);

/** Where a limiter's key is stored: under itself, or under the hash of one that is long. */
export function limiterKey(key: string): StoreKey {
  const stored = keySpace.keyOf(key);
  if (stored.text.length <= LONGEST_KEY) return stored;
  return keySpace.keyOf(`sha256:${createHash('sha256').update(key).digest('hex')}`);
}

/** Whether a cost is a whole number that can be allowed. */
export function isCost(cost: number, capacity: number): boolean {
  return Number.isInteger(cost) && cost >= 1 && cost <= capacity;
}

/** @throws ConfigurationError when a cost is no whole number, or more than can ever be available. */
export function checkCost(limiter: string, cost: number, capacity: number): void {
  if (!isCost(cost, capacity)) throw new ConfigurationError(`Rate limiter "${limiter}"`, [costProblem(cost, capacity)]);
}

function costProblem(cost: number, capacity: number): string {
  if (!Number.isInteger(cost) || cost < 1) return `a cost of ${cost} is no whole number from 1`;
  return `a cost of ${cost} can never be allowed: at most ${capacity} units are available at once`;
}
