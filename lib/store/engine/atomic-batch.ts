import { headers as newHeaders, nuid, type MsgHdrs } from '@nats-io/transport-node';
import { EncodeError } from '../../common/errors.js';
import { isForbidden, toFlowError } from '../../connection/jetstream-api.js';
import { readReply } from '../../connection/publish-reply.js';
import { unlessLost } from '../../connection/unless-lost.js';
import type { EntryMessage } from './entry-writer.js';
import type { StoreConnection } from './store-connection.js';

/** How many messages a server takes in one batch. */
export const MAX_ATOMIC = 1_000;

/** What became of one sending of a batch. */
export type BatchOutcome =
  /** All stored, one after the other; this is the revision of the last. */
  | { readonly kind: 'stored'; readonly lastRevision: number }
  /** Another writer came first to one of the keys: nothing is stored. */
  | { readonly kind: 'conflict' }
  /** No answer, or one that does not say; `cause` is the error. */
  | { readonly kind: 'unknown'; readonly cause: unknown };

/**
 * Sends messages to one stream as an atomic batch: all are stored, or none is. Sent once; nothing is repeated.
 *
 * @throws EncodeError when one is too large to be sent, JetStreamRequestError when the server refuses for good,
 * ConnectionError when it does not let us publish.
 */
export async function publishAtomically(
  connection: StoreConnection,
  messages: readonly EntryMessage[],
  timeoutMs: number,
): Promise<BatchOutcome> {
  const { nats } = connection;
  const id = nuid.next();
  const encoded = messages.map(({ subject, data, headers, expected }, index) => {
    const all = newHeaders();
    for (const [name, value] of headers) all.append(name, value);
    all.set('Nats-Expected-Last-Subject-Sequence', String(expected));
    all.set('Nats-Batch-Id', id);
    all.set('Nats-Batch-Sequence', String(index + 1));
    if (index === messages.length - 1) all.set('Nats-Batch-Commit', '1');
    return { subject, data, headers: all };
  });
  for (const message of encoded) checkSize(message, nats.info?.max_payload ?? Infinity);
  const last = encoded.pop();
  if (last === undefined) throw new RangeError('A batch without messages');
  const what = `write ${messages.length} entries`;
  let reply;
  try {
    reply = await unlessLost(connection, what, () => {
      // The server answers the last one for all.
      for (const { subject, data, headers } of encoded) nats.publish(subject, data, { headers });
      return nats.request(last.subject, last.data, { headers: last.headers, timeout: timeoutMs });
    });
  } catch (cause) {
    const error = toFlowError(what, cause);
    if (isForbidden(error)) throw error;
    // Timed out, or the connection broke: the entries tell what became of it.
    return { kind: 'unknown', cause };
  }
  const answer = readReply(last.subject, reply);
  switch (answer.kind) {
    case 'stored':
      return { kind: 'stored', lastRevision: answer.ack.sequence };
    case 'conflict':
      return { kind: 'conflict' };
    case 'not-now':
      return { kind: 'unknown', cause: answer.error };
    case 'refused':
      if (PASSING.includes(answer.error.apiCode)) return { kind: 'unknown', cause: answer.error };
      throw answer.error;
  }
}

/**
 * JetStream's codes for a batch of which a part was lost on the way or the server has forgotten the beginning, and for too
 * many batches at a time.
 */
const PASSING: readonly number[] = [10175, 10176, 10210];

function checkSize(
  { subject, data, headers }: { subject: string; data: Uint8Array; headers: MsgHdrs },
  limit: number,
): void {
  let size = data.length;
  for (const [name, values] of headers) for (const value of values) size += name.length + value.length + 4;
  if (size + 16 <= limit) return;
  throw new EncodeError(`The message for "${subject}" has ${size} bytes with its headers; the server takes ${limit}.`);
}
