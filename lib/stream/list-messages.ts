import type { StoredMessage } from './stored-message.js';
import type { StreamConnection } from './stream-connection.js';

export interface ListMessagesOptions {
  readonly limit: number;
  readonly afterSequence?: number;
}

export async function* listMessages(
  connection: StreamConnection,
  stream: string,
  filter: string,
  options: ListMessagesOptions,
): AsyncIterable<StoredMessage> {
  void [connection, stream, filter, options];
  throw new Error('not yet');
}
