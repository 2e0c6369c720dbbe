import { create, fromBinary, toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, StringValueSchema, StructSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileEncoder } from '../../../lib/codec/compile-encoder.js';
import { DeadLetterSchema } from '../../../lib/codec/gen/flow/v1/dead_letter_pb.js';
import { RunSchema } from '../../../lib/codec/gen/flow/v1/run_pb.js';
import { arbitraryMessage } from '../../support/arbitrary-message.js';
import { everythingSchema } from '../../support/everything-schema.js';

/** What the slow way gives: bytes, or an error. */
function slow(schema: DescMessage, message: Message): Uint8Array | Error {
  try {
    return toBinary(schema, message);
  } catch (error) {
    return error as Error;
  }
}

const proto3 = everythingSchema('proto3');
const proto2 = everythingSchema('proto2');

describe('compileEncoder', () => {
  it.each([
    ['proto3', proto3],
    ['proto2', proto2],
    ['flow.v1.Run', RunSchema],
    ['flow.v1.DeadLetter', DeadLetterSchema],
    ['google.protobuf.Timestamp', TimestampSchema],
  ])('gives the bytes that toBinary gives: %s', (_name, schema: DescMessage) => {
    const encode = compileEncoder(schema)!;
    fc.assert(
      fc.property(arbitraryMessage(schema), (message) => {
        expect(encode(message)).toEqual(slow(schema, message));
      }),
      { numRuns: 300 },
    );
  });

  it('keeps unknown fields, groups among them', () => {
    const leaf = proto3.field.oneLeaf!.message!;
    const message = fromBinary(leaf, toBinary(proto3, create(proto3, { listInt64: [1n, -1n], oneString: 'text' })));
    message.$unknown!.push({ no: 9, wireType: WireType.StartGroup, data: new Uint8Array([0x08, 0x01, 0x4c]) });
    expect(compileEncoder(leaf)!(message)).toEqual(toBinary(leaf, message));
  });

  it('writes lengths of one to four bytes', () => {
    const encode = compileEncoder(proto3)!;
    for (const length of [0, 126, 127, 128, 129, 16_383, 16_384, 2 ** 21 - 1, 2 ** 21, 2 ** 21 + 5]) {
      const message = create(proto3, {
        oneMessage: { oneString: 'x'.repeat(length), oneBytes: new Uint8Array(length).fill(1) },
        listInt32: [length],
      });
      expect(Buffer.compare(encode(message)!, toBinary(proto3, message))).toBe(0);
    }
  });

  // Each can stand in a message that was not made by create(), or was changed after it.
  it.each([
    { oneInt32: 1.5 },
    { oneInt32: '12' },
    { oneInt32: 2 ** 31 },
    { oneInt32: '' },
    { oneInt32: -0 },
    { oneUint32: -1 },
    { oneInt64: 5 },
    { oneInt64: '5' },
    { oneInt64: 2n ** 63n },
    { oneUint64: -1n },
    { oneFloat: 3.5e38 },
    { oneFloat: 3.40282347e38 },
    { oneFloat: Infinity },
    { oneDouble: '1' },
    { oneDouble: -0 },
    { oneString: 5 },
    { oneString: null },
    { oneBytes: [1, 2] },
    { oneBool: 1 },
    { oneMessage: null },
    { oneMessage: {} },
    { oneMessage: { $typeName: 'test.Leaf', text: 'x' } },
    { optionalInt32: null },
    { optionalInt32: undefined },
    { listInt32: undefined },
    { listInt32: [1, undefined] },
    { listString: new Set(['a']) },
    { mapString: undefined },
    { mapString: { key: 1 } },
    { keyedInt32: { x: 1 } },
    { keyedInt32: { '01': 1 } },
    { keyedBool: { yes: 1 } },
    { keyedInt64: { '-5': 1 } },
    { keyedInt64: { '5.5': 1 } },
    { choice: undefined },
    { choice: { case: 'choiceInt32', value: 'x' } },
    { choice: { case: 'nonsense', value: 1 } },
  ])('leaves odd values to toBinary, or encodes them as it does: %o', (odd: object) => {
    const message = Object.assign(create(proto3), odd);
    const fast = compileEncoder(proto3)!(message);
    const expected = slow(proto3, message);
    if (expected instanceof Error) expect(fast).toBeUndefined();
    else if (fast !== undefined) expect(fast).toEqual(expected);
  });

  it('leaves a message without a required field to toBinary', () => {
    expect(compileEncoder(proto2)!(create(proto2))).toBeUndefined();
  });

  it('works on after a message that it could not encode', () => {
    const encode = compileEncoder(proto3)!;
    const good = create(proto3, { oneString: 'good' });
    expect(encode(Object.assign(create(proto3, { first: 'left over' }), { listInt32: [1.5] }))).toBeUndefined();
    expect(encode(good)).toEqual(toBinary(proto3, good));
  });

  it('is not confused by a message that encodes another one from a getter', () => {
    const encode = compileEncoder(proto3)!;
    const inner = create(proto3, { oneString: 'inner' });
    let innerResult: Uint8Array | undefined;
    const outer = Object.defineProperty(create(proto3, { oneInt32: 7 }), 'oneString', {
      get: () => {
        innerResult = encode(inner);
        return 'outer';
      },
    });
    expect(encode(outer)).toEqual(toBinary(proto3, create(proto3, { oneInt32: 7, oneString: 'outer' })));
    expect(innerResult).toBeUndefined();
  });

  it('has no code for wrappers and structs in messages', () => {
    expect(compileEncoder(StringValueSchema)).toBeDefined();
    expect(compileEncoder(StructSchema)).toBeUndefined();
    expect(compileEncoder(FileDescriptorProtoSchema)).toBeDefined();
  });
});
