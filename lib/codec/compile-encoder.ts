import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { FeatureSet_FieldPresence, isWrapperDesc } from '@bufbuild/protobuf/wkt';
import { parseMapKey, scalarForms, type WriteValue } from './scalar-writers.js';
import { UnusualValue, WireWriter } from './wire-writer.js';

/** A message as the object that it is. */
interface MessageObject {
  readonly $typeName?: unknown;
  readonly $unknown?: readonly { readonly no: number; readonly wireType: WireType; readonly data: Uint8Array }[];
  readonly [field: string]: unknown;
}

type WriteMessage = (writer: WireWriter, message: MessageObject) => void;

/** The bytes of a message; `undefined` when it holds something that only the slow way can encode, or refuse. */
export type FastEncode = (message: object) => Uint8Array | undefined;

/**
 * An encoder for one message type that gives, byte by byte, what Protobuf-ES's `toBinary` gives, several times as
 * fast: it looks at the type's fields once instead of reflecting on them for each message, and writes into one buffer.
 * `undefined` for types with features that it has no code for.
 */
export function compileEncoder(schema: DescMessage): FastEncode | undefined {
  if (!isSupported(schema, new Set())) return undefined;
  const write = compileMessage(schema, new Map());
  const writer = new WireWriter();
  let isWriting = false;
  return (message) => {
    // A getter in a message may encode another one, in the middle of this.
    if (isWriting) return undefined;
    isWriting = true;
    try {
      write(writer, message as MessageObject);
      return writer.finish();
    } catch {
      // Whatever it was, the slow way comes to the same, and words it for people.
      writer.reset();
      return undefined;
    } finally {
      isWriting = false;
    }
  };
}

function isSupported(schema: DescMessage, seen: Set<DescMessage>): boolean {
  if (seen.has(schema)) return true;
  seen.add(schema);
  return schema.fields.every((field) => {
    if (field.message === undefined) return true;
    // Groups, and the two types that stand in a message as something else: `StringValue` as a text and so on.
    if ('delimitedEncoding' in field && field.delimitedEncoding) return false;
    if (field.fieldKind === 'message' && isWrapperDesc(field.message)) return false;
    if (field.message.typeName === 'google.protobuf.Struct') return false;
    return isSupported(field.message, seen);
  });
}

function compileMessage(schema: DescMessage, compiled: Map<DescMessage, WriteMessage>): WriteMessage {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const fields: WriteMessage[] = [];
  const write: WriteMessage = (writer, message) => {
    if (message.$typeName !== schema.typeName) throw new UnusualValue();
    for (const field of fields) field(writer, message);
    for (const { no, wireType, data } of message.$unknown ?? []) {
      writer.varint32(tagOf(no, wireType));
      writer.raw(data);
    }
  };
  // Before its fields, because a message may contain messages of its own type.
  compiled.set(schema, write);
  const sorted = [...schema.fields].sort((a, b) => a.number - b.number);
  fields.push(...sorted.map((field) => compileField(field, compiled)));
  return write;
}

function compileField(field: DescField, compiled: Map<DescMessage, WriteMessage>): WriteMessage {
  const writeValue = valueWriter(field, compiled);
  switch (field.fieldKind) {
    case 'list':
      return listWriter(field.localName, field.number, field.packed, wireTypeOf(field), writeValue);
    case 'map':
      return mapWriter(field.localName, field.number, field.mapKey, wireTypeOf(field), writeValue);
    default: {
      const tag = tagOf(field.number, wireTypeOf(field));
      return whenSet(field, (writer, value) => {
        writer.varint32(tag);
        writeValue(writer, value);
      });
    }
  }
}

function tagOf(number: number, wireType: WireType): number {
  return ((number << 3) | wireType) >>> 0;
}

function wireTypeOf(field: DescField): WireType {
  if (field.message !== undefined) return WireType.LengthDelimited;
  return scalarForms[field.scalar ?? ScalarType.INT32].wireType;
}

/** Writes a value of the field, an item of the list or a value of the map. */
function valueWriter(field: DescField, compiled: Map<DescMessage, WriteMessage>): WriteValue {
  if (field.message === undefined) return scalarForms[field.scalar ?? ScalarType.INT32].write;
  const write = compileMessage(field.message, compiled);
  return (writer, value) => {
    if (typeof value !== 'object' || value === null) throw new UnusualValue();
    const start = writer.open();
    write(writer, value as MessageObject);
    writer.close(start);
  };
}

/** Calls `write` with the field's value when the message has one. */
function whenSet(field: DescField, write: WriteValue): WriteMessage {
  const name = field.localName;
  if (field.oneof !== undefined) {
    const group = field.oneof.localName;
    return (writer, message) => {
      const selected = message[group] as { readonly case?: string; readonly value?: unknown };
      if (selected.case === name) write(writer, selected.value);
    };
  }
  if (field.presence === FeatureSet_FieldPresence.IMPLICIT) {
    const isZero = zeroTest(field);
    return (writer, message) => {
      const value = message[name];
      if (!isZero(value)) write(writer, value);
    };
  }
  const isRequired = field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED;
  return (writer, message) => {
    const value = message[name];
    // Defaults of optional fields stand on the prototype.
    if (value !== undefined && Object.hasOwn(message, name)) write(writer, value);
    else if (isRequired) throw new UnusualValue();
  };
}

function zeroTest(field: DescField): (value: unknown) => boolean {
  if (field.fieldKind === 'enum') {
    const zero = field.enum.values[0]?.number;
    return (value) => value === zero;
  }
  return scalarForms[field.scalar ?? ScalarType.INT32].isZero;
}

function listWriter(name: string, number: number, packed: boolean, type: WireType, write: WriteValue): WriteMessage {
  const tag = tagOf(number, packed ? WireType.LengthDelimited : type);
  return (writer, message) => {
    const items = message[name];
    if (!Array.isArray(items)) throw new UnusualValue();
    if (items.length === 0) return;
    if (!packed) {
      for (const item of items) {
        writer.varint32(tag);
        write(writer, item);
      }
      return;
    }
    writer.varint32(tag);
    const start = writer.open();
    for (const item of items) write(writer, item);
    writer.close(start);
  };
}

function mapWriter(name: string, number: number, key: ScalarType, type: WireType, write: WriteValue): WriteMessage {
  const tag = tagOf(number, WireType.LengthDelimited);
  const keyTag = tagOf(1, scalarForms[key].wireType);
  const valueTag = tagOf(2, type);
  const writeKey = scalarForms[key].write;
  return (writer, message) => {
    const map = message[name] as Readonly<Record<string, unknown>>;
    for (const text of Object.keys(map)) {
      writer.varint32(tag);
      const start = writer.open();
      writer.varint32(keyTag);
      writeKey(writer, parseMapKey(key, text));
      writer.varint32(valueTag);
      write(writer, map[text]);
      writer.close(start);
    }
  };
}
