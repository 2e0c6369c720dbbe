import { DecodeError, EncodeError } from '../common/errors.js';
import { describeValue, messageOf } from './describe-value.js';
import { findUnserializable } from './find-unserializable.js';
import type { MessageCodec } from './message-codec.js';

const NOTHING = new Uint8Array(0);
// `fatal`: bytes that are no UTF-8 are an error, not a text with replacement characters in it.
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * JSON in UTF-8. `undefined` is no bytes at all, and back. JSON's own losses apply and are not reported:
 * `undefined` in an object is left out and becomes `null` in an array, a `Date` comes back as text, `Map` and
 * `Set` as `{}`, `NaN` and the infinities as `null`.
 */
export class JsonCodec<T> implements MessageCodec<T> {
  readonly contentType = 'application/json';

  constructor(readonly typeName: string) {}

  encode(value: T): Uint8Array {
    if (value === undefined) return NOTHING;
    let text: string | undefined;
    try {
      text = stringify(value);
    } catch (error) {
      throw new EncodeError(
        `Cannot encode ${describeValue(value)} as JSON (${this.typeName}): ${findUnserializable(value) ?? messageOf(error)}.`,
        { cause: error },
      );
    }
    if (text === undefined) {
      throw new EncodeError(
        `Cannot encode ${describeValue(value)} as JSON (${this.typeName}): JSON has no form for it.`,
      );
    }
    // Eight times as fast as TextEncoder, which asks for memory each time.
    return Buffer.from(text);
  }

  decode(data: Uint8Array): T {
    if (data.byteLength === 0) return undefined as T;
    try {
      return JSON.parse(decoder.decode(data)) as T;
    } catch (error) {
      throw new DecodeError(`Cannot decode ${data.byteLength} bytes as JSON (${this.typeName}): ${messageOf(error)}.`, {
        cause: error,
      });
    }
  }
}

// The type that the compiler has for it leaves out that functions and symbols give undefined.
const stringify: (value: unknown) => string | undefined = JSON.stringify;
