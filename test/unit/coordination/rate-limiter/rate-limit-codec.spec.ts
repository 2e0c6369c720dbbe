import { create, fromBinary, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RateLimitStateSchema, type LimitUseSchema } from '../../../../lib/codec/gen/flow/v1/rate_limit_pb.js';
import { DecodeError } from '../../../../lib/common/errors.js';
import { RateLimitCodec } from '../../../../lib/coordination/rate-limiter/rate-limit-codec.js';

const codec = new RateLimitCodec();
const unknown = fc.constant({ no: 9, wireType: WireType.Varint, data: new Uint8Array([1]) });
const double = fc.oneof(fc.constantFrom(0, -0, 1, NaN, Infinity), fc.double(), fc.nat(), fc.maxSafeNat());

type Algorithm = NonNullable<MessageInitShape<typeof LimitUseSchema>['algorithm']>;
const algorithm: fc.Arbitrary<Algorithm> = fc.oneof(
  fc.record({ case: fc.constant('gcra'), value: fc.record({ level: double, atMs: double }) }),
  fc.record({ case: fc.constant('fixedWindow'), value: fc.record({ startMs: double, used: double }) }),
  fc.record({
    case: fc.constant('slidingWindow'),
    value: fc.record({ startMs: double, current: double, previous: double }),
  }),
  fc.record({
    case: fc.constant('slidingLog'),
    value: fc.record({ atMs: fc.array(double), units: fc.array(fc.nat()) }),
  }),
  fc.constant({ case: undefined }),
);
const state = fc
  .record({
    atMs: double,
    limits: fc.oneof(
      fc.array(fc.record({ windowMs: double, algorithm }), { maxLength: 4 }),
      // More than there is room for.
      fc.array(fc.record({ windowMs: double, algorithm }), { minLength: 20, maxLength: 60 }),
    ),
    // Where fields stand that only a newer version knows: the state, its first limit, what is used of that.
    newer: fc.option(fc.tuple(fc.nat(2), unknown), { nil: undefined, freq: 3 }),
  })
  .map(({ newer, ...init }) => {
    const made = create(RateLimitStateSchema, init);
    const [use] = made.limits;
    if (newer !== undefined) {
      const [where, field] = newer;
      ([made, use, use?.algorithm.value][where] ?? made).$unknown = [field];
    }
    return made;
  });

const textOf = (data: Uint8Array): string => Buffer.from(data).toString('latin1');

it('writes what Protobuf-ES writes', () => {
  fc.assert(
    fc.property(state, (given) => {
      const data = toBinary(RateLimitStateSchema, given);
      expect([...codec.encode(given)]).toEqual([...data]);
      expect(codec.encodeText(given)).toBe(textOf(data));
    }),
    { numRuns: 1_000 },
  );
});

it('reads what Protobuf-ES reads, of whatever version', () => {
  fc.assert(
    fc.property(state, (given) => {
      const data = toBinary(RateLimitStateSchema, given);
      expect(codec.decode(data)).toEqual(fromBinary(RateLimitStateSchema, data));
      expect(codec.decodeText(textOf(data))).toEqual(fromBinary(RateLimitStateSchema, data));
    }),
    { numRuns: 1_000 },
  );
});

it('reads bytes that are damaged, or written by another hand, as Protobuf-ES does', () => {
  const change = fc.oneof(
    fc.record({ at: fc.nat(), cut: fc.nat(12), insert: fc.uint8Array({ maxLength: 12 }) }),
    // Another length, or another field.
    fc.record({ at: fc.nat(), cut: fc.constant(1), insert: fc.uint8Array({ minLength: 1, maxLength: 1, max: 40 }) }),
  );
  fc.assert(
    fc.property(state, change, (given, { at, cut, insert }) => {
      const bytes = [...toBinary(RateLimitStateSchema, given)];
      bytes.splice(at % (bytes.length + 1), cut, ...insert);
      const data = Uint8Array.from(bytes);
      let expected: unknown;
      try {
        expected = fromBinary(RateLimitStateSchema, data);
      } catch {
        expect(() => codec.decode(data)).toThrow(DecodeError);
        expect(() => codec.decodeText(textOf(data))).toThrow(DecodeError);
        return;
      }
      expect(codec.decode(data)).toEqual(expected);
      expect(codec.decodeText(textOf(data))).toEqual(expected);
    }),
    { numRuns: 3_000 },
  );
});

it('leaves what it has written alone when it writes the next', () => {
  const of = (atMs: number) => create(RateLimitStateSchema, { atMs });
  const first = codec.encode(of(1));
  codec.encode(of(2));
  expect(codec.decode(first)).toEqual(of(1));
});
