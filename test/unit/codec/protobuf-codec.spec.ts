import { create, isMessage } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadLetterSchema } from '../../../lib/codec/gen/flow/v1/dead_letter_pb.js';
import { FailureSchema, OutcomeSchema, RunSchema, RunState, type Run } from '../../../lib/codec/gen/flow/v1/run_pb.js';
import { codecFor } from '../../../lib/codec/message-schema.js';
import { DecodeError, EncodeError } from '../../../lib/common/errors.js';

const codec = codecFor(RunSchema);

const bytes = fc.uint8Array({ maxLength: 64 });
// Lone surrogates have no form in UTF-8, so Protobuf's strings cannot carry them.
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
// Protobuf-ES keeps maps in plain objects, where this key is none.
const mapKey = text.filter((key) => key !== '__proto__');
const time = fc.date({ noInvalidDate: true }).map((date) => timestampFromDate(date));
const run: fc.Arbitrary<Run> = fc
  .record({
    flow: text,
    runId: text,
    state: fc.constantFrom(RunState.RUNNING, RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED),
    startedAt: time,
    pending: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    settled: fc.array(text, { maxLength: 5 }),
    output: bytes,
    failure: fc.record({ name: text, message: text, causes: fc.array(text, { maxLength: 3 }) }),
    steps: fc.array(fc.record({ step: text, attempt: fc.nat() }), { maxLength: 3 }),
    metadata: fc.dictionary(mapKey, text, { maxKeys: 4, noNullPrototype: true }),
  })
  .map((init) => create(RunSchema, init));

describe('ProtobufCodec', () => {
  it('names itself', () => {
    expect(codec.typeName).toBe('flow.v1.Run');
    expect(codec.contentType).toBe('application/protobuf; messageType="flow.v1.Run"');
  });

  it('gives back what it was given', () => {
    fc.assert(
      fc.property(run, (message) => {
        expect(codec.decode(codec.encode(message))).toEqual(message);
      }),
    );
  });

  it('encodes to bytes that no later encoding changes', () => {
    const first = codec.encode(create(RunSchema, { flow: 'orders', runId: '1' }));
    const copy = first.slice();
    codec.encode(create(RunSchema, { flow: 'xxxxxx', runId: '2' }));
    expect(first).toEqual(copy);
  });

  it('decodes a message that stands in the middle of a larger buffer', () => {
    const encoded = codec.encode(create(RunSchema, { flow: 'orders', output: new Uint8Array([1, 2, 3]) }));
    const buffer = Buffer.concat([Buffer.from('before'), encoded, Buffer.from('after')]);
    const decoded = codec.decode(buffer.subarray(6, 6 + encoded.byteLength));
    expect(decoded.flow).toBe('orders');
    expect([...decoded.output]).toEqual([1, 2, 3]);
  });

  it('keeps fields that only a newer schema knows', () => {
    const newer = codec.encode(create(RunSchema, { flow: 'orders', runId: 'r1', pending: 3 }));
    // Failure has Run's fields 1 and 2, and none with the number of `pending`.
    const older = codecFor(FailureSchema);
    const rewritten = older.encode(older.decode(newer));
    expect(codec.decode(rewritten)).toMatchObject({ flow: 'orders', runId: 'r1', pending: 3 });
  });

  it('takes no bytes for the message with all defaults', () => {
    expect(codec.encode(create(RunSchema)).byteLength).toBe(0);
    expect(isMessage(codec.decode(new Uint8Array(0)), RunSchema)).toBe(true);
  });

  it('refuses a message of another type, naming both', () => {
    const letter: unknown = create(DeadLetterSchema, { flow: 'orders' });
    expect(() => codec.encode(letter as Run)).toThrow(EncodeError);
    expect(() => codec.encode(letter as Run)).toThrow(
      'Expected a message of type flow.v1.Run, got one of type flow.v1.DeadLetter.',
    );
  });

  it.each([
    [{ flow: 'orders', runId: 'r' }, 'a plain object with flow, runId'],
    [undefined, 'undefined'],
    [null, 'null'],
    ['text', 'a string'],
    [[1, 2], 'an array of 2'],
    [new Date(0), 'an instance of Date'],
    [{}, 'an empty object'],
    [Object.create(null), 'an empty object'],
  ])('refuses what is no message at all: %o', (value: unknown, described) => {
    expect(() => codec.encode(value as Run)).toThrow(
      new EncodeError(
        `Expected a message of type flow.v1.Run, got ${described}. Make messages with create(RunSchema, { … }).`,
      ),
    );
  });

  it('encodes texts to the bytes that TextEncoder gives, those without a form in UTF-8 included', () => {
    const encoder = new TextEncoder();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (flow) => {
        const utf8 = encoder.encode(flow);
        // One field: a tag, the length (in two bytes from 128 on), the text.
        expect(codec.encode(create(RunSchema, { flow })).subarray(flow === '' ? 0 : utf8.length < 128 ? 2 : 3)).toEqual(
          utf8,
        );
      }),
    );
  });

  it('says which field cannot be encoded', () => {
    const broken = create(RunSchema, { pending: 1.5 });
    expect(() => codec.encode(broken)).toThrow(EncodeError);
    expect(() => codec.encode(broken)).toThrow(/flow\.v1\.Run.*pending/s);
  });

  it('says what it failed to decode, and its size', () => {
    const cut = codec.encode(create(RunSchema, { flow: 'orders' })).subarray(0, 4);
    expect(() => codec.decode(cut)).toThrow(DecodeError);
    expect(() => codec.decode(cut)).toThrow(/^Cannot decode 4 bytes as flow\.v1\.Run: /);
  });

  it('decodes any bytes to a message or throws a DecodeError', () => {
    const outcome = codecFor(OutcomeSchema);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        try {
          expect(isMessage(outcome.decode(data), OutcomeSchema)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          expect((error as DecodeError).cause).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
