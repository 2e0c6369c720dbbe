import { FlowError } from './errors.js';

/** A count cannot be what it was to become: below zero, not a whole number, or larger than numbers are exact. */
export class CountError extends FlowError {
  constructor(what: string, problem: string) {
    super('COUNT', `${what}: ${problem}.`);
  }
}

/** @throws CountError unless `value` is a whole number, from `least` on, up to `most`. */
export function checkCount(what: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  const upTo = most === Number.MAX_SAFE_INTEGER ? 'on' : `to ${most}`;
  const from = least === Number.MIN_SAFE_INTEGER ? '' : ` from ${least} ${upTo}`;
  throw new CountError(what, `${value} is no whole number${from}`);
}
