import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codecFor, json } from '../../../lib/codec/message-schema.js';
import { DecodeError, EncodeError } from '../../../lib/common/errors.js';

const codec = codecFor(json<unknown>('orders.Order'));
const textOf = (value: unknown): string => new TextDecoder().decode(codec.encode(value));

function encodeError(value: unknown): EncodeError {
  try {
    codec.encode(value);
  } catch (error) {
    expect(error).toBeInstanceOf(EncodeError);
    return error as EncodeError;
  }
  throw new Error('encode did not throw');
}

describe('JsonCodec', () => {
  it('names itself', () => {
    expect(codec.typeName).toBe('orders.Order');
    expect(codec.contentType).toBe('application/json');
    expect(codecFor(json()).typeName).toBe('json');
  });

  it('gives back what JSON can hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        // JSON has no -0.
        expect(codec.decode(codec.encode(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('carries any text, lone surrogates too', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(codec.decode(codec.encode(value))).toBe(value);
      }),
    );
    expect(codec.decode(codec.encode('\ud800'))).toBe('\ud800');
  });

  it('writes undefined as no bytes and reads it back', () => {
    expect(codec.encode(undefined).byteLength).toBe(0);
    expect(codec.decode(new Uint8Array(0))).toBeUndefined();
  });

  it('tells null from undefined', () => {
    expect(textOf(null)).toBe('null');
    expect(codec.decode(codec.encode(null))).toBeNull();
  });

  it('leaves undefined members out', () => {
    expect(textOf({ a: 1, b: undefined })).toBe('{"a":1}');
  });

  it.each([
    [1n, 'Cannot encode a bigint as JSON (orders.Order): the value is a bigint; send it as text.'],
    [
      { total: 1, items: [{ id: 5n }] },
      'Cannot encode a plain object with total, items as JSON (orders.Order): the value.items[0].id is a bigint; send it as text.',
    ],
    [() => 1, 'Cannot encode a function as JSON (orders.Order): JSON has no form for it.'],
    [Symbol('s'), 'Cannot encode a symbol as JSON (orders.Order): JSON has no form for it.'],
  ])('refuses what JSON cannot hold: %s', (value: unknown, message) => {
    expect(encodeError(value).message).toBe(message);
  });

  it('says where a cycle closes', () => {
    const order: { id: number; lines: unknown[] } = { id: 1, lines: [] };
    order.lines.push({ order });
    const error = encodeError(order);
    expect(error.message).toBe(
      'Cannot encode a plain object with id, lines as JSON (orders.Order): ' +
        'the value.lines[0].order refers back to an object that contains it.',
    );
    expect(error.cause).toBeInstanceOf(TypeError);
  });

  it('takes one object twice for no cycle', () => {
    const address = { city: 'Basel' };
    expect(textOf({ from: address, to: address })).toBe('{"from":{"city":"Basel"},"to":{"city":"Basel"}}');
  });

  it('keeps the error of a toJSON or getter that throws', () => {
    const cause = new Error('not loaded');
    const value = {
      get lazy(): never {
        throw cause;
      },
    };
    const error = encodeError(value);
    expect(error.message).toContain('not loaded');
    expect(error.cause).toBe(cause);
  });

  it('gives up on endless nesting with an EncodeError', () => {
    let nested: unknown = 'inside';
    for (let depth = 0; depth < 100_000; depth++) nested = [nested];
    expect(encodeError(nested).message).toMatch(/^Cannot encode an array of 1 as JSON \(orders\.Order\): /);
  });

  it('says what it failed to decode, and its size', () => {
    const data = new TextEncoder().encode('{"id": 1');
    expect(() => codec.decode(data)).toThrow(DecodeError);
    expect(() => codec.decode(data)).toThrow(/^Cannot decode 8 bytes as JSON \(orders\.Order\): /);
  });

  it('refuses bytes that are no UTF-8', () => {
    expect(() => codec.decode(new Uint8Array([0x22, 0xff, 0x22]))).toThrow(DecodeError);
  });

  it('decodes any bytes or throws a DecodeError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (data) => {
        try {
          codec.decode(data);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
    );
  });
});
