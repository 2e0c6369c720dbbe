import { ScalarType } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { UnusualValue, type WireWriter } from './wire-writer.js';

/** Writes one value, without a tag. */
export type WriteValue = (writer: WireWriter, value: unknown) => void;

/** How the values of a scalar type are written. */
export interface ScalarForm {
  readonly wireType: WireType;
  readonly write: WriteValue;
  /** Whether a value is the one that a field without presence leaves out. */
  readonly isZero: (value: unknown) => boolean;
}

const isZeroNumber = (value: unknown): boolean => value === 0;
const isZeroBigint = (value: unknown): boolean => value === 0n;
// Minus zero is a value of its own.
const isPlusZero = (value: unknown): boolean => Object.is(value, 0);

/** The form of each scalar type. */
export const scalarForms: Readonly<Record<ScalarType, ScalarForm>> = {
  [ScalarType.DOUBLE]: { wireType: WireType.Bit64, write: (to, value) => to.double(value), isZero: isPlusZero },
  [ScalarType.FLOAT]: { wireType: WireType.Bit32, write: (to, value) => to.float(value), isZero: isPlusZero },
  [ScalarType.INT64]: { wireType: WireType.Varint, write: (to, value) => to.int64(value), isZero: isZeroBigint },
  [ScalarType.UINT64]: { wireType: WireType.Varint, write: (to, value) => to.uint64(value), isZero: isZeroBigint },
  [ScalarType.INT32]: { wireType: WireType.Varint, write: (to, value) => to.int32(value), isZero: isZeroNumber },
  [ScalarType.FIXED64]: { wireType: WireType.Bit64, write: (to, value) => to.fixed64(value), isZero: isZeroBigint },
  [ScalarType.FIXED32]: { wireType: WireType.Bit32, write: (to, value) => to.fixed32(value), isZero: isZeroNumber },
  [ScalarType.BOOL]: {
    wireType: WireType.Varint,
    write: (to, value) => to.bool(value),
    isZero: (value) => value === false,
  },
  [ScalarType.STRING]: {
    wireType: WireType.LengthDelimited,
    write: (to, value) => to.string(value),
    isZero: (value) => value === '',
  },
  [ScalarType.BYTES]: {
    wireType: WireType.LengthDelimited,
    write: (to, value) => to.bytes(value),
    isZero: (value) => value instanceof Uint8Array && value.length === 0,
  },
  [ScalarType.UINT32]: { wireType: WireType.Varint, write: (to, value) => to.uint32(value), isZero: isZeroNumber },
  [ScalarType.SFIXED32]: { wireType: WireType.Bit32, write: (to, value) => to.sfixed32(value), isZero: isZeroNumber },
  [ScalarType.SFIXED64]: { wireType: WireType.Bit64, write: (to, value) => to.sfixed64(value), isZero: isZeroBigint },
  [ScalarType.SINT32]: { wireType: WireType.Varint, write: (to, value) => to.sint32(value), isZero: isZeroNumber },
  [ScalarType.SINT64]: { wireType: WireType.Varint, write: (to, value) => to.sint64(value), isZero: isZeroBigint },
};

/** The value that a map's key stands for: keys of objects are texts. */
export function parseMapKey(type: ScalarType, key: string): unknown {
  switch (type) {
    case ScalarType.STRING:
      return key;
    case ScalarType.BOOL:
      if (key !== 'true' && key !== 'false') throw new UnusualValue();
      return key === 'true';
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return canonical(BigInt(key), key);
    default:
      return canonical(Number(key), key);
  }
}

function canonical(value: number | bigint, key: string): number | bigint {
  if (String(value) !== key) throw new UnusualValue();
  return value;
}
