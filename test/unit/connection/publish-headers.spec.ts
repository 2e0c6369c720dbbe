import { headers, MsgHdrsImpl } from '@nats-io/transport-node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EncodeError } from '../../../lib/common/errors.js';
import { EncodedHeaders, type HeaderFields } from '../../../lib/connection/publish-headers.js';

function roundTrip(fields: HeaderFields): Map<string, string[]> {
  const encoded = EncodedHeaders.of(undefined, undefined, fields);
  return new Map(encoded === undefined ? [] : MsgHdrsImpl.decode(encoded.encode()));
}

describe('EncodedHeaders', () => {
  it('writes message id and expected sequence before the other fields', () => {
    const encoded = EncodedHeaders.of('id-1', 0, [['A', 'b']]);
    expect(new TextDecoder().decode(encoded?.encode())).toBe(
      'NATS/1.0\r\nNats-Msg-Id: id-1\r\nNats-Expected-Last-Subject-Sequence: 0\r\nA: b\r\n\r\n',
    );
  });

  it('is nothing when there is nothing to write', () => {
    expect(EncodedHeaders.of(undefined, undefined, undefined)).toBeUndefined();
    expect(EncodedHeaders.of(undefined, undefined, headers())).toBeUndefined();
  });

  it("takes the client's headers, maps and pairs", () => {
    const own = headers();
    own.append('A', 'one');
    own.append('A', 'two');
    own.set('B', 'ü');
    expect(roundTrip(own)).toEqual(
      new Map([
        ['A', ['one', 'two']],
        ['B', ['ü']],
      ]),
    );
    expect(roundTrip(new Map([['A', 'x']]))).toEqual(new Map([['A', ['x']]]));
    expect(roundTrip([['A', ['x', 'y']]])).toEqual(new Map([['A', ['x', 'y']]]));
  });

  it.each([
    ['', 'x'],
    ['a b', 'x'],
    ['a:b', 'x'],
    ['ä', 'x'],
    ['a', 'x\r\nInjected: y'],
    ['a', 'x\ny'],
  ])('refuses the name %j with the value %j', (name, value) => {
    expect(() => EncodedHeaders.of(undefined, undefined, [[name, value]])).toThrow(EncodeError);
  });

  it('refuses a message id with a line break', () => {
    expect(() => EncodedHeaders.of('a\nb', undefined, undefined)).toThrow(/Nats-Msg-Id.*line break/);
  });

  it.each(['', ' '])('refuses the message id %j, which would be none', (messageId) => {
    expect(() => EncodedHeaders.of(messageId, undefined, undefined)).toThrow(EncodeError);
  });

  it.each([-1, 0.5, NaN, 2 ** 53])('refuses to expect the sequence %d, which would be none', (sequence) => {
    expect(() => EncodedHeaders.of(undefined, sequence, undefined)).toThrow(EncodeError);
  });

  it('never lets a field break out of its line', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 4 }), (fields) => {
        let decoded: Map<string, string[]>;
        try {
          decoded = roundTrip(fields);
        } catch (error) {
          expect(error).toBeInstanceOf(EncodeError);
          return;
        }
        const expected = new Map<string, string[]>();
        for (const [name, value] of fields) expected.set(name, [...(expected.get(name) ?? []), value.trim()]);
        expect(decoded).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });
});
