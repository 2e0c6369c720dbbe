import { MsgHdrsImpl } from '@nats-io/transport-node';
import { EncodeError } from '../common/errors.js';

/**
 * Headers of a message: names with one or several values. The client's `MsgHdrs`, a `Map<string, string>` and
 * a list of pairs all are.
 */
export type HeaderFields = Iterable<readonly [name: string, value: string | readonly string[]]>;

const NAME = /^[!-9;-~]+$/;
const LINE_BREAK = /[\r\n]/;

/**
 * Headers already in wire format, encoded once for all repetitions of a publish. The client asks headers for
 * nothing but their bytes.
 */
export class EncodedHeaders extends MsgHdrsImpl {
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  static from(lines: string): EncodedHeaders {
    // Eight times as fast as TextEncoder, which asks for memory each time.
    return new EncodedHeaders(Buffer.from(`NATS/1.0\r\n${lines}\r\n`));
  }

  override encode(): Uint8Array {
    return this.#bytes;
  }

  /**
   * The wire format of the server's own fields and `fields`; nothing when there are none.
   *
   * @throws EncodeError when a name or a value cannot stand in a header.
   */
  static of(
    messageId: string | undefined,
    expectLastSubjectSequence: number | undefined,
    fields: HeaderFields | undefined,
  ): EncodedHeaders | undefined {
    let text = '';
    // The server takes an empty id and a sequence it cannot read for none, and would store a repetition again.
    if (messageId !== undefined) {
      if (messageId.trim() === '') throw new EncodeError('A messageId must not be empty.');
      text += line('Nats-Msg-Id', messageId);
    }
    if (expectLastSubjectSequence !== undefined) {
      if (!Number.isSafeInteger(expectLastSubjectSequence) || expectLastSubjectSequence < 0) {
        throw new EncodeError(`${expectLastSubjectSequence} is no sequence to expect; use 0 or a stored sequence.`);
      }
      text += `Nats-Expected-Last-Subject-Sequence: ${expectLastSubjectSequence}\r\n`;
    }
    if (fields !== undefined) {
      for (const [name, value] of fields) {
        if (!NAME.test(name))
          throw new EncodeError(`"${name}" is not a header name: use visible ASCII characters without ":".`);
        if (typeof value === 'string') text += line(name, value);
        else for (const one of value) text += line(name, one);
      }
    }
    if (text === '') return undefined;
    return text === FIRST_OF_SUBJECT ? ONLY_FIRST_OF_SUBJECT : EncodedHeaders.from(text);
  }
}

/** What most messages of a flow carry, and nothing else. */
const FIRST_OF_SUBJECT = 'Nats-Expected-Last-Subject-Sequence: 0\r\n';
const ONLY_FIRST_OF_SUBJECT = EncodedHeaders.from(FIRST_OF_SUBJECT);

function line(name: string, value: string): string {
  if (LINE_BREAK.test(value))
    throw new EncodeError(`Header "${name}" contains a line break, which no header can carry.`);
  return `${name}: ${value}\r\n`;
}
