import { ApiCode, toFlowError } from '../../connection/jetstream-api.js';
import { unlessLost, type Losable } from '../../connection/unless-lost.js';
import { within } from '../../connection/within.js';
import { JetStreamRequestError } from '../../common/errors.js';

export { ApiCode, isApiError as isRefusal, isForbidden, isPassing } from '../../connection/jetstream-api.js';

/**
 * Runs one request to JetStream's API. The server's refusal becomes a {@link JetStreamRequestError}; no answer, or no
 * connection, a `ConnectionError`.
 */
export async function bucketRequest<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (thrown) {
    const error = toFlowError(what, thrown);
    if (!(error instanceof JetStreamRequestError) || error.apiCode !== ApiCode.streamNotFound) throw error;
    const { message, apiCode, cause } = error;
    throw new JetStreamRequestError(`${message} Is the bucket deleted, or not provisioned yet?`, apiCode, { cause });
  }
}

/** A {@link bucketRequest} that fails at once when the connection is lost, or is not there, instead of at its timeout. */
export function askBucket<T>(connection: Losable, what: string, request: () => Promise<T>): Promise<T> {
  return bucketRequest(what, () => unlessLost(connection, what, request));
}

/** The answer to a request, or a `ConnectionError` after `patienceMs` where the client would wait longer for it. */
export function inTime<T>(
  { requestTimeoutMs }: { readonly requestTimeoutMs: number },
  what: string,
  patienceMs: number,
  answer: Promise<T>,
): Promise<T> {
  // Where the client's own timer comes first, another is spared.
  return patienceMs < requestTimeoutMs ? within(Math.ceil(patienceMs), `To ${what}`, answer) : answer;
}
