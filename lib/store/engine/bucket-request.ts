import { JetStreamApiError } from '@nats-io/jetstream';
import { unlessLost, type Losable } from '../../connection/unless-lost.js';
import { ConnectionError, FlowError, JetStreamRequestError } from '../../common/errors.js';

/** JetStream's error codes that the store tells apart. */
export const ApiCode = {
  consumerNotFound: 10014,
  streamNameInUse: 10058,
  streamNotFound: 10059,
} as const;

/** JetStream's codes for "not now": no leader, not the leader, too many requests. */
const PASSING: readonly number[] = [10008, 10009, 10167];

/**
 * Runs one request to JetStream's API. The server's refusal becomes a {@link JetStreamRequestError}; no answer, or no
 * connection, a {@link ConnectionError}.
 */
export async function bucketRequest<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof FlowError) throw error;
    if (error instanceof JetStreamApiError) {
      const hint = error.code === ApiCode.streamNotFound ? ' Is the bucket deleted, or not provisioned yet?' : '';
      throw new JetStreamRequestError(`Cannot ${what}: ${error.message} (${error.code}).${hint}`, error.code, {
        cause: error,
      });
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConnectionError(`Cannot ${what}: ${reason}. Is the server reachable, with JetStream on?`, {
      cause: error,
    });
  }
}

/** A {@link bucketRequest} that fails at once when the connection is lost, or is not there, instead of at its timeout. */
export function askBucket<T>(connection: Losable, what: string, request: () => Promise<T>): Promise<T> {
  return bucketRequest(what, () => unlessLost(connection, what, request));
}

/** Whether the request may succeed in a moment: the server was away, or has no leader right now. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof ConnectionError || (error instanceof JetStreamRequestError && PASSING.includes(error.apiCode))
  );
}

/** Whether the server refused with `code`. */
export function isRefusal(error: unknown, code: number): boolean {
  return error instanceof JetStreamRequestError && error.apiCode === code;
}
