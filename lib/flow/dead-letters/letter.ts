import { fromBinary } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { DeadLetterSchema, type DeadLetter, type Header } from '../../codec/gen/flow/v1/dead_letter_pb.js';
import { DecodeError } from '../../common/errors.js';
import type { StoredMessage } from '../../stream/stored-message.js';

/** Stands in a letter for a header value that did not fit into it. */
export const LEFT_OUT = '(left out: too long)';

/** @throws DecodeError when the message is no letter. */
export function decodeLetter(message: StoredMessage): DeadLetter {
  try {
    return fromBinary(DeadLetterSchema, message.data);
  } catch (error) {
    throw new DecodeError(`"${message.subject}" does not hold a flow.v1.DeadLetter`, { cause: error });
  }
}

/** Which message it was that died. */
export type LetterOrigin = Pick<DeadLetter, 'stream' | 'sequence' | 'publishedAt'>;

/**
 * Names the message that died: its stream, its sequence there, and when it was stored, since a stream that was
 * deleted and made anew counts from 1 again.
 */
export function identityOf({ stream, sequence, publishedAt }: LetterOrigin): string {
  return `${stream}:${sequence}:${publishedAt === undefined ? '' : timestampMs(publishedAt)}`;
}

/** First value of a header that the message had. */
export function headerOf({ headers }: DeadLetter, name: string): string | undefined {
  return headers.find((header) => header.name === name)?.values[0];
}

/** Whether a header is the library's own; it is needed to send the message again. */
export function isOwnHeader({ name }: Header): boolean {
  return name.startsWith('Flow-');
}
