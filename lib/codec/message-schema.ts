import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { JsonCodec } from './json-codec.js';
import type { MessageCodec } from './message-codec.js';
import { ProtobufCodec } from './protobuf-codec.js';

/** A message type carried as JSON, made by {@link json}. The type exists at compile time only. */
export interface JsonSchema<T> {
  readonly kind: 'json';
  /** Name for errors and for the check that connected steps speak of the same type. */
  readonly typeName: string;
  /** Carries `T` for the compiler; never set. */
  readonly _type?: T;
}

/** What names a message type: a generated Protobuf-ES descriptor, or {@link json}. */
export type MessageSchema<T = unknown> = DescMessage | JsonSchema<T>;

/** The TypeScript type of a schema's messages. */
export type MessageOf<S> = S extends DescMessage ? MessageShape<S> : S extends JsonSchema<infer T> ? T : never;

/** Type name of a {@link json} schema that was not given one. */
export const UNNAMED_JSON = 'json';

/**
 * A message type carried as JSON. Nothing is checked when it is decoded: `T` is a promise about the sender.
 * JSON's own losses apply (see `JsonCodec`). Use a Protobuf schema where the shape must be enforced.
 *
 * @param typeName shown in errors; two schemas of one name count as the same type. @default 'json'
 */
export function json<T>(typeName: string = UNNAMED_JSON): JsonSchema<T> {
  return { kind: 'json', typeName };
}

/** The codec of a schema. It holds no state; make one where it is needed, or share it. */
export function codecFor<S extends MessageSchema>(schema: S): MessageCodec<MessageOf<S>> {
  if (schema.kind === 'json') return new JsonCodec<MessageOf<S>>(schema.typeName);
  // MessageOf<S> is MessageShape<S> here, but the compiler does not narrow S by the schema's kind.
  return new ProtobufCodec(schema) as MessageCodec<unknown> as MessageCodec<MessageOf<S>>;
}
