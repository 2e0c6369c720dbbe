import { ApiCode, callApi, isApiError } from './jetstream-api.js';
import { overReconnects } from './over-reconnects.js';
import { toStoredMessage, type StoredMessage } from './stored-message.js';
import type { StreamConnection } from './stream-connection.js';

export { listMessages } from './list-messages.js';
export type { StoredMessage } from './stored-message.js';

/**
 * The newest message of `subject`, read from the stream's leader, so never stale; undefined when there is
 * none.
 *
 * @throws JetStreamRequestError when the stream does not exist.
 */
export function readLastBySubject(
  connection: StreamConnection,
  stream: string,
  subject: string,
): Promise<StoredMessage | undefined> {
  return read(
    connection,
    stream,
    { last_by_subj: subject },
    `read the last message of "${subject}" from stream "${stream}"`,
  );
}

/**
 * The message with this sequence, read from the stream's leader; undefined when there is none, or none any
 * more.
 *
 * @throws JetStreamRequestError when the stream does not exist.
 */
export function readBySequence(
  connection: StreamConnection,
  stream: string,
  sequence: number,
): Promise<StoredMessage | undefined> {
  return read(connection, stream, { seq: sequence }, `read message ${sequence} of stream "${stream}"`);
}

/**
 * The sequence of the newest message that a stream has stored, deleted or not; 0 when it never stored any.
 *
 * @throws JetStreamRequestError when the stream does not exist.
 */
export async function lastSequence(connection: StreamConnection, stream: string): Promise<number> {
  const what = `look for the last sequence of stream "${stream}"`;
  return (await callApi(what, () => connection.manager.streams.info(stream))).state.last_seq;
}

/**
 * Removes one message. The bytes are marked as deleted, not overwritten.
 *
 * @returns false when there is no such message (any more).
 * @throws JetStreamRequestError when the stream does not exist or does not allow deleting.
 */
export async function deleteMessage(connection: StreamConnection, stream: string, sequence: number): Promise<boolean> {
  try {
    return await callApi(`delete message ${sequence} of stream "${stream}"`, () =>
      connection.manager.streams.deleteMessage(stream, sequence, false),
    );
  } catch (error) {
    if (isApiError(error, ApiCode.sequenceNotFound, ApiCode.noMessageFound)) return false;
    // One code for many reasons: a sequence beyond the stream's end is one of them.
    const failed = isApiError(error, ApiCode.messageDeleteFailed);
    if (failed && (await readBySequence(connection, stream, sequence)) === undefined) return false;
    throw error;
  }
}

async function read(
  connection: StreamConnection,
  stream: string,
  query: { seq: number } | { last_by_subj: string },
  what: string,
): Promise<StoredMessage | undefined> {
  try {
    const stored = await overReconnects(connection, what, () =>
      callApi(what, () => connection.manager.streams.getMessage(stream, query)),
    );
    return stored === null ? undefined : toStoredMessage(stored);
  } catch (error) {
    if (isApiError(error, ApiCode.noMessageFound)) return undefined;
    throw error;
  }
}
