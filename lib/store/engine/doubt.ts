import { CancelledError, OutcomeUnknownError } from '../../common/errors.js';
import { ApiCode, isRefusal } from './bucket-request.js';

/** Why an outcome cannot be known. */
export const REPLACED = 'the reply was lost, and the entry was replaced from outside the store since';

/**
 * The error of something that failed after a write of it that may have been applied: no other error may leave the caller
 * with the belief that it was not. Those that say so already stay as they are, and so does that the bucket is gone: with it went
 * whatever was written.
 */
export function inDoubt(what: string, error: unknown): unknown {
  if (error instanceof OutcomeUnknownError || error instanceof CancelledError) return error;
  if (isRefusal(error, ApiCode.streamNotFound)) return error;
  const reason = 'the reply was lost, and what became of it could not be found out';
  return new OutcomeUnknownError(what, reason, { cause: error });
}
