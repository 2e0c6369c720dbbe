import { ConfigurationError } from '../../common/errors.js';
import type { StoreKey } from '../../store/engine/store-key.js';
import { storedKey } from '../stored-key.js';

/** Where a limiter's key is stored. */
export function limiterKey(key: string): StoreKey {
  return storedKey(key);
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
