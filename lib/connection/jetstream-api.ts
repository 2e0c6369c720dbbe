import { JetStreamApiError } from '@nats-io/jetstream';
import { PermissionViolationError, RequestError } from '@nats-io/transport-node';
import { ConnectionError, FlowError, JetStreamRequestError } from '../common/errors.js';

/** JetStream's error codes that the library tells apart. */
export const ApiCode = {
  consumerNotFound: 10014,
  noMessageFound: 10037,
  sequenceNotFound: 10043,
  messageDeleteFailed: 10057,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  subjectsOverlap: 10065,
  consumerAlreadyExists: 10148,
  consumerNameInUse: 10013,
  clusterNotAvailable: 10008,
  clusterNotLeader: 10009,
  tooManyRequests: 10167,
} as const;

/** Answers of a server that can do it in a moment: a cluster that has just lost its leader, or is overrun. */
const PASSING: readonly number[] = [ApiCode.clusterNotAvailable, ApiCode.clusterNotLeader, ApiCode.tooManyRequests];

/**
 * Runs one call of JetStream's API and translates what it throws: an answer of the server that says no
 * becomes a {@link JetStreamRequestError} with the server's code, everything else (no answer, no JetStream,
 * connection lost or closed) a {@link ConnectionError}. `what` says what was tried, as in `read stream "X"`.
 */
export async function callApi<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toFlowError(what, error);
  }
}

/** The library's error for what the client threw while doing `what`. */
export function toFlowError(what: string, error: unknown): FlowError {
  if (error instanceof FlowError) return error;
  if (error instanceof JetStreamApiError) {
    return new JetStreamRequestError(`Cannot ${what}: ${error.message} (${error.code}).`, error.code, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  if (isViolation(error))
    return new ConnectionError(`Cannot ${what}: ${reason}. Grant the permission.`, { cause: error });
  return new ConnectionError(`Cannot ${what}: ${reason}. Is the server reachable, with JetStream on?`, {
    cause: error,
  });
}

/** Whether the same request may succeed in a moment: no answer came, or a passing one. */
export function isPassing(error: unknown): boolean {
  return (error instanceof ConnectionError && !isForbidden(error)) || isApiError(error, ...PASSING);
}

/** Whether the server does not let us send this: it has not taken it, and will not when it is asked again. */
export function isForbidden(error: unknown): boolean {
  return error instanceof ConnectionError && isViolation(error.cause);
}

function isViolation(error: unknown): boolean {
  const violation = error instanceof RequestError ? error.cause : error;
  return violation instanceof PermissionViolationError && violation.operation === 'publish';
}

/** Whether `error` is JetStream's answer with one of `codes`, before or after {@link callApi} translated it. */
export function isApiError(error: unknown, ...codes: number[]): boolean {
  if (error instanceof JetStreamApiError) return codes.includes(error.code);
  return error instanceof JetStreamRequestError && codes.includes(error.apiCode);
}
