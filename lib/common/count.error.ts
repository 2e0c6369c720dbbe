import { FlowError } from './errors.js';

/** A count cannot be what it was to become: below zero, not a whole number, or larger than numbers are exact. */
export class CountError extends FlowError {
  constructor(what: string, problem: string) {
    super('COUNT', `${what}: ${problem}.`);
  }
}

/** @throws CountError unless `value` is a whole number, from `least` on. */
export function checkCount(what: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  const from = least === Number.MIN_SAFE_INTEGER ? '' : ` from ${least} on`;
  throw new CountError(what, `${value} is no whole number${from}`);
}
