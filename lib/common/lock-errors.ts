import { FlowError, type FlowErrorOptions } from './errors.js';

/**
 * A lease ended before its holder gave it back: it could not be renewed in time, somebody else has it, it was held for
 * too long, or the application stops. Reason of `lease.signal`. What its holder still does is no longer exclusive; a
 * write that checks the fencing token is refused.
 */
export class LockLostError extends FlowError {
  /** The lease's fencing token. */
  readonly fencingToken: number;

  constructor(what: string, fencingToken: number, reason: string, options: FlowErrorOptions = {}) {
    super('LOCK_LOST', `The lease of ${what} (fencing token ${fencingToken}) is lost: ${reason}.`, options);
    this.fencingToken = fencingToken;
  }
}

/** What else is known of a wait that took too long. */
export interface LockTimeoutDetails {
  /** The server has not said yet whether it is free. */
  readonly unanswered?: boolean;
  /** The caller's own process holds it. */
  readonly heldHere?: boolean;
}

/** Nobody gave the lock back within the time that the caller was willing to wait. */
export class LockTimeoutError extends FlowError {
  constructor(what: string, waitMs: number, { unanswered = false, heldHere = false }: LockTimeoutDetails = {}) {
    const problem = unanswered
      ? `The server did not say within ${waitMs} ms whether ${what} is free.`
      : `${what} was not free within ${waitMs} ms.`;
    const remedy = heldHere
      ? 'This process holds it: who asks for it within that lease waits for itself, since locks are not reentrant.'
      : 'Wait longer ("wait"), or try again later.';
    super('LOCK_TIMEOUT', `${problem} ${remedy}`);
  }
}
