import { clone, ScalarType, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { codecFor, type MessageOf, type MessageSchema } from '../../codec/message-schema.js';
import type { MessageCodec } from '../../codec/message-codec.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { DecodeError, EncodeError } from '../../common/errors.js';
import type { EntryCodec } from './entry-codec.js';
import type { Changed } from './kv-reducer.js';

/** Brings a state of an older schema version up to date; see `KvObjectOptions.migrate`. */
export type Migrate<State> = (state: State, fromVersion: number) => Changed<State>;

/** What decides how states become bytes. */
export interface StateCodecOptions<State> {
  readonly bucket: string;
  readonly schemaVersion: number;
  readonly migrate: Migrate<State> | undefined;
  /** Largest value in bytes; `undefined` leaves it to the server. */
  readonly maxValueBytes: number | undefined;
  /** In place of the schema's own: reads and writes the same bytes. */
  readonly codec?: MessageCodec<State> | undefined;
}

/** States as bytes and back, with the bucket's name in every error. */
export class StateCodec<State> implements EntryCodec<State> {
  private constructor(
    private readonly codec: MessageCodec<State>,
    /** An independent copy of a state. */
    readonly copy: (state: State) => State,
    /** Decoded states are views into their bytes. */
    private readonly sharesMemory: boolean,
    private readonly options: StateCodecOptions<State>,
  ) {}

  static for<S extends MessageSchema>(schema: S, options: StateCodecOptions<MessageOf<S>>): StateCodec<MessageOf<S>> {
    const { codec = codecFor(schema) } = options;
    // A JSON state is copied through its text, so that a state in memory is always what a later read would give.
    const copy =
      schema.kind === 'json'
        ? (state: MessageOf<S>) => codec.decode(codec.encode(state))
        : (state: MessageOf<S>) => clone<DescMessage>(schema, state as MessageShape<DescMessage>) as MessageOf<S>;
    return new StateCodec(codec, copy, schema.kind !== 'json' && hasBytes(schema), options);
  }

  /** Content type of the values. */
  get contentType(): string {
    return this.codec.contentType;
  }

  /**
   * The state in `data`, brought up to the present schema version. Shares no memory with `data`, which may be remembered.
   *
   * @throws DecodeError naming bucket, key and revision, also when `migrate` throws.
   */
  decode(key: string, entry: { readonly revision: number; readonly schemaVersion: number }, data: Uint8Array): State {
    const state = this.decodeBytes(key, entry.revision, this.sharesMemory ? data.slice() : data);
    const { bucket, migrate, schemaVersion } = this.options;
    if (migrate === undefined || entry.schemaVersion >= schemaVersion) return state;
    try {
      return migrate(state, entry.schemaVersion) ?? state;
    } catch (error) {
      throw new DecodeError(
        `Bucket "${bucket}", key "${key}", revision ${entry.revision} cannot be migrated from schemaVersion ` +
          `${entry.schemaVersion} to ${schemaVersion}, since migrate threw ${describeThrown(error)}; it is left as it is. ` +
          'Correct migrate, or delete or reset the entry.',
        { cause: error },
      );
    }
  }

  /** The value of `key`. @throws EncodeError when the state is not of the type, or larger than the bucket takes. */
  encode(key: string, state: State): Uint8Array {
    const { bucket, maxValueBytes } = this.options;
    const data = this.codec.encode(state);
    if (maxValueBytes !== undefined && data.byteLength > maxValueBytes) {
      throw new EncodeError(
        `The new value of key "${key}" in bucket "${bucket}" has ${data.byteLength} bytes; its maxValueBytes is ${maxValueBytes}. ` +
          'Split the state over several keys, or raise the limit.',
      );
    }
    return data;
  }

  private decodeBytes(key: string, revision: number, data: Uint8Array): State {
    try {
      return this.codec.decode(data);
    } catch (error) {
      throw new DecodeError(
        `Bucket "${this.options.bucket}", key "${key}", revision ${revision} is not a ${this.codec.typeName}; it is left as it is. ` +
          'Delete or reset the entry, or put a value of the type there.',
        { cause: error },
      );
    }
  }
}

/** Whether a message of the type can hold a `bytes` field, at any depth; those are decoded as views. */
function hasBytes(schema: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(schema)) return false;
  seen.add(schema);
  return schema.fields.some(
    ({ scalar, message }) => scalar === ScalarType.BYTES || (message !== undefined && hasBytes(message, seen)),
  );
}
