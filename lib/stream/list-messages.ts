import { callApi } from './jetstream-api.js';
import { overReconnects } from './over-reconnects.js';
import { toStoredMessage, type StoredMessage } from './stored-message.js';
import type { StreamConnection } from './stream-connection.js';

/** Which messages {@link listMessages} gives. */
export interface ListMessagesOptions {
  /** The most messages to give. @default no limit */
  readonly limit?: number;
  /** Only messages behind this stream sequence: the last one of the page before. @default 0 */
  readonly afterSequence?: number;
}

/**
 * The messages of a subject filter in the order of the stream, read from its leader one by one as they are
 * asked for (a third of a millisecond each), so that memory holds one and stopping early leaves nothing
 * behind. Messages stored while listing are included. A lost connection is waited for.
 *
 * @throws JetStreamRequestError when there is no such stream; ConnectionError when the server does not answer.
 */
export async function* listMessages(
  connection: StreamConnection,
  stream: string,
  filter: string,
  options: ListMessagesOptions = {},
): AsyncGenerator<StoredMessage, void, undefined> {
  const { limit = Number.POSITIVE_INFINITY, afterSequence = 0 } = options;
  const what = `list "${filter}" of stream "${stream}"`;
  let sequence = afterSequence;
  for (let given = 0; given < limit; given++) {
    const query = { seq: sequence + 1, next_by_subj: filter };
    const stored = await overReconnects(connection, what, () =>
      callApi(what, () => connection.manager.streams.getMessage(stream, query)),
    );
    if (stored === null) return;
    sequence = stored.seq;
    yield toStoredMessage(stored);
  }
}
