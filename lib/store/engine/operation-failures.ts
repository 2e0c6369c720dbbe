import { ConflictError, EncodeError, JetStreamRequestError, OutcomeUnknownError } from '../../common/errors.js';
import { isPassing } from './bucket-request.js';
import { REPLACED } from './doubt.js';
import type { PendingOperation } from './pending-operation.js';

/** Counts a lost write; rejects the operations whose attempts are used up. */
export function countConflict<State>(operations: readonly PendingOperation<State>[]): void {
  for (const operation of operations) {
    operation.conflicts += 1;
    const { maxAttempts } = operation.request;
    if (operation.conflicts < maxAttempts) continue;
    operation.reject(
      new ConflictError(
        `The ${operation.what} lost against other writers ${operation.conflicts} times (maxAttempts); nothing was written.`,
      ),
    );
  }
}

/**
 * Rejects operations of which nobody can know any more whether they were applied. Also those with an idempotency key: what
 * took the mark of the write away may have taken its keys too, so whether to repeat it is the caller's to say.
 */
export function rejectUnknowable<State>(operations: readonly PendingOperation<State>[]): void {
  for (const operation of operations) operation.reject(new OutcomeUnknownError(`The ${operation.what}`, REPLACED));
}

/** When the first of them was asked for, by the performance clock. */
export function earliest<State>(operations: readonly PendingOperation<State>[]): number {
  return operations.reduce((first, { askedAt }) => Math.min(first, askedAt), Infinity);
}

/** Whether the error lies in the value, and so with one of the operations of a batch. */
export function isBlamable(error: unknown): boolean {
  return error instanceof EncodeError || (error instanceof JetStreamRequestError && !isPassing(error));
}
