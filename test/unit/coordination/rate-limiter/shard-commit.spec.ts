import { create, toBinary } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateLimitStateSchema, type RateLimitState } from '../../../../lib/codec/gen/flow/v1/rate_limit_pb.js';
import { RateLimitShardSchema, type RateLimitShard } from '../../../../lib/codec/gen/flow/v1/rate_limit_shard_pb.js';
import { DecodeError } from '../../../../lib/common/errors.js';
import {
  decodeShardCommit,
  ShardCommitWriter,
  type ShardCommit,
} from '../../../../lib/coordination/rate-limiter/shards/shard-commit.js';
import { keyHash } from '../../../../lib/coordination/rate-limiter/shards/key-place.js';

const FIRST_ROOM = 65_536;
const asText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

const sequence = fc.oneof(fc.constantFrom(0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER), fc.nat(), fc.maxSafeNat());
const key = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '\0', 'ключ', '🚦', '\uFEFFmarked', 'x'.repeat(127), 'x'.repeat(128), 'é'.repeat(20_000)),
);
const gcra = fc.record({ level: fc.double(), atMs: fc.double() });
const slidingLog = fc.record({ atMs: fc.array(fc.double()), units: fc.array(fc.nat()) });
const algorithm = fc.oneof(
  fc.record({ case: fc.constant('gcra' as const), value: gcra }),
  fc.record({ case: fc.constant('slidingLog' as const), value: slidingLog }),
);
const limits = fc.array(fc.record({ windowMs: fc.double(), algorithm }), { maxLength: 3 });
const state = fc
  .record({ atMs: fc.oneof(fc.constant(0), fc.double()), limits })
  .map((init): RateLimitState => create(RateLimitStateSchema, init));
const keyed = fc.record({ key, state: fc.option(state, { nil: undefined }) });
const most = fc.nat({ max: 1_024 }).map((shards) => shards + 1);

/** Messages as Protobuf-ES has them. */
const shard = fc
  .record({
    previous: sequence,
    number: sequence,
    shards: most,
    keys: fc.array(keyed, { maxLength: 12 }),
    gaps: fc.array(sequence, { maxLength: 31 }),
  })
  .map(({ previous, number, gaps, ...rest }): RateLimitShard => {
    const numbers = { previous: BigInt(previous), number: BigInt(number), gaps: gaps.map(BigInt) };
    return create(RateLimitShardSchema, { ...numbers, ...rest });
  });

const writer = new ShardCommitWriter();

function written({ previous, number, shards, keys, gaps }: RateLimitShard): Uint8Array {
  writer.begin({ previous: Number(previous), number: Number(number), shards });
  for (const { key: name, state: of } of keys) writer.key(name, textOf(of));
  writer.gaps(gaps.map(Number));
  return writer.finish();
}

function textOf(of: RateLimitState | undefined): string | undefined {
  return of && asText(toBinary(RateLimitStateSchema, of));
}

function commitOf({ previous, number, shards, keys, gaps }: RateLimitShard): ShardCommit {
  const said = keys.map(({ key: name, state: of }) => [name, textOf(of)] as const);
  return { previous: Number(previous), number: Number(number), shards, keys: said, gaps: gaps.map(Number) };
}

/** Equal bytes; one by one, tens of thousands would take long to compare. */
function expectSame(bytes: Uint8Array, others: Uint8Array): void {
  expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(others).toString('hex'));
}

describe('a commit to a shard', () => {
  it('is written as Protobuf-ES writes it', () => {
    fc.assert(
      fc.property(shard, (given) => {
        expectSame(written(given), toBinary(RateLimitShardSchema, given));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is read as Protobuf-ES has written it', () => {
    fc.assert(
      fc.property(shard, (given) => {
        expect(decodeShardCommit(toBinary(RateLimitShardSchema, given))).toEqual(commitOf(given));
      }),
      { numRuns: 1_000 },
    );
  });

  it('may be larger than the memory that there is at first', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3 * FIRST_ROOM }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(sizes, shard, (lengths, { previous, number, shards, keys }) => {
        const large = lengths.map((length, index) => ({ key: `${index}${'é'.repeat(length)}`, state: keys[0]?.state }));
        const given = create(RateLimitShardSchema, { previous, number, shards, keys: [...keys, ...large] });
        // Memory of its own: what was written before has not made it larger.
        const own = new ShardCommitWriter();
        own.begin({ previous: Number(given.previous), number: Number(given.number), shards: given.shards });
        for (const { key: name, state: of } of given.keys) own.key(name, textOf(of));
        expectSame(own.finish(), toBinary(RateLimitShardSchema, given));
      }),
      { numRuns: 50 },
    );
  });

  it('fits its first memory to the last byte, and goes beyond it by one', () => {
    for (let length = FIRST_ROOM - 40; length <= FIRST_ROOM + 4; length++) {
      const given = create(RateLimitShardSchema, { shards: 4, keys: [{ key: 'x'.repeat(length) }, { key: 'last' }] });
      const own = new ShardCommitWriter();
      own.begin({ previous: 0, number: 0, shards: 4 });
      for (const { key: name } of given.keys) own.key(name, undefined);
      expectSame(own.finish(), toBinary(RateLimitShardSchema, given));
    }
  });

  it('is left alone when the next is written', () => {
    const of = (name: string) => create(RateLimitShardSchema, { shards: 4, keys: [{ key: name }] });
    const first = written(of('first'));
    written(of('other'));
    expect(decodeShardCommit(first)).toEqual(commitOf(of('first')));
  });

  it('is read with what a newer version says in it', () => {
    const field = fc.oneof(
      fc.record({ no: fc.integer({ min: 6, max: 5_000 }), wireType: fc.constant(WireType.Varint) }).map((head) => {
        return { ...head, data: new Uint8Array([0x96, 0x01]) };
      }),
      fc.record({ no: fc.integer({ min: 6, max: 5_000 }), wireType: fc.constant(WireType.Bit64) }).map((head) => {
        return { ...head, data: new Uint8Array(8) };
      }),
      fc
        .record({ no: fc.integer({ min: 6, max: 5_000 }), wireType: fc.constant(WireType.LengthDelimited) })
        .map((head) => {
          return { ...head, data: new Uint8Array([3, 1, 2, 3]) };
        }),
    );
    fc.assert(
      fc.property(shard, fc.array(field, { minLength: 1, maxLength: 3 }), fc.nat(), (given, fields, at) => {
        const expected = commitOf(given);
        given.$unknown = fields;
        const newer = given.keys[at % (given.keys.length || 1)];
        if (newer !== undefined) newer.$unknown = fields;
        expect(decodeShardCommit(toBinary(RateLimitShardSchema, given))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps what a newer version says in a state', () => {
    const newer = create(RateLimitStateSchema, { atMs: 1 });
    newer.$unknown = [{ no: 9, wireType: WireType.Varint, data: new Uint8Array([1]) }];
    const data = toBinary(
      RateLimitShardSchema,
      create(RateLimitShardSchema, { shards: 4, keys: [{ key: 'a', state: newer }] }),
    );
    const [[, text] = []] = decodeShardCommit(data).keys;
    expectSame(Buffer.from(text ?? '', 'latin1'), toBinary(RateLimitStateSchema, newer));
  });
});

describe('bytes that are no commit to a shard', () => {
  it.each([
    ['none', new Uint8Array(0)],
    ['a text', Buffer.from('hello')],
    ['JSON', Buffer.from('{"limit":1}')],
    ['the state of a key', toBinary(RateLimitStateSchema, create(RateLimitStateSchema, { atMs: 1e12 }))],
    ['a length beyond the end', new Uint8Array([0x18, 4, 0x22, 100, 1])],
    ['a key of a length beyond its end', new Uint8Array([0x18, 4, 0x22, 2, 0x0a, 9])],
    ['a number that does not end', new Uint8Array(20).fill(0xff)],
    ['no number of shards', new Uint8Array([0x08, 1, 0x10, 1])],
  ])('are told from one: %s', (_, data) => {
    expect(() => decodeShardCommit(data)).toThrow(DecodeError);
    expect(() => decodeShardCommit(data)).toThrow(`${data.byteLength} bytes are no flow.v1.RateLimitShard`);
  });

  it('end in no other error, however they are damaged', () => {
    const change = fc.record({ at: fc.nat(), cut: fc.nat(12), insert: fc.uint8Array({ maxLength: 12 }) });
    fc.assert(
      fc.property(shard, change, (given, { at, cut, insert }) => {
        const bytes = [...toBinary(RateLimitShardSchema, given)];
        bytes.splice(at % (bytes.length + 1), cut, ...insert);
        try {
          const { keys, shards } = decodeShardCommit(Uint8Array.from(bytes));
          expect(keys.every(([name]) => typeof name === 'string')).toBe(true);
          expect(shards).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('the hash of a key', () => {
  it.each([
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['b', 0xe70c2de5],
    ['foobar', 0xbf9cf968],
  ])('is FNV-1a of 32 bits, by its published test vectors: "%s"', (text, hash) => {
    expect(keyHash(text)).toBe(hash);
  });

  it('is that of its bytes in UTF-8', () => {
    const reference = (text: string): number => {
      let hash = 0x811c9dc5n;
      for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x01000193n) % 2n ** 32n;
      return Number(hash);
    };
    expect(keyHash('ключ')).toBe(reference('ключ'));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (text) => {
        expect(keyHash(text)).toBe(reference(text));
      }),
      { numRuns: 1_000 },
    );
  });
});
