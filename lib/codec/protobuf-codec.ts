import { fromBinary, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { DecodeError, EncodeError } from '../common/errors.js';
import { describeValue, messageOf } from './describe-value.js';
import type { MessageCodec } from './message-codec.js';
import { useFastText } from './protobuf-text.js';

useFastText();

/**
 * Protobuf's binary format. Unknown fields survive a round trip, so an older program does not drop what a
 * newer one wrote. No bytes at all are the message with every field at its default, as Protobuf has it.
 */
export class ProtobufCodec<D extends DescMessage> implements MessageCodec<MessageShape<D>> {
  readonly contentType: string;
  readonly typeName: string;

  constructor(private readonly schema: D) {
    this.typeName = schema.typeName;
    this.contentType = `application/protobuf; messageType="${schema.typeName}"`;
  }

  encode(value: MessageShape<D>): Uint8Array {
    // Protobuf-ES reads fields by name: a message of another type would encode silently to whatever fields match.
    const actual: string | undefined = (value as Partial<MessageShape<D>> | null | undefined)?.$typeName;
    if (actual !== this.typeName) throw this.wrongType(value, actual);
    try {
      return toBinary(this.schema, value);
    } catch (error) {
      throw new EncodeError(`Cannot encode a message as ${this.typeName}: ${messageOf(error)}.`, { cause: error });
    }
  }

  decode(data: Uint8Array): MessageShape<D> {
    try {
      return fromBinary(this.schema, data);
    } catch (error) {
      throw new DecodeError(`Cannot decode ${data.byteLength} bytes as ${this.typeName}: ${messageOf(error)}.`, {
        cause: error,
      });
    }
  }

  private wrongType(value: unknown, actual: string | undefined): EncodeError {
    return actual === undefined
      ? new EncodeError(
          `Expected a message of type ${this.typeName}, got ${describeValue(value)}. ` +
            `Make messages with create(${this.schema.name}Schema, { … }).`,
        )
      : new EncodeError(`Expected a message of type ${this.typeName}, got one of type ${actual}.`);
  }
}
