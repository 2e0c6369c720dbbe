import { create, ScalarType, type DescField, type DescMessage, type Message } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence, isWrapperDesc } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';

const int32 = fc.oneof(
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  fc.constantFrom(0, -1, 127, 128, 2 ** 31 - 1),
);
const uint32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 127, 128, 2 ** 32 - 1));
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, -1n, 2n ** 32n, 2n ** 35n, 2n ** 56n - 1n, 2n ** 56n, 2n ** 63n - 1n, -(2n ** 63n)),
);
const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 49n, 2n ** 64n - 1n),
);

const scalars: Readonly<Record<ScalarType, fc.Arbitrary<unknown>>> = {
  [ScalarType.DOUBLE]: fc.double(),
  [ScalarType.FLOAT]: fc.float(),
  [ScalarType.INT64]: int64,
  [ScalarType.UINT64]: uint64,
  [ScalarType.INT32]: int32,
  [ScalarType.FIXED64]: uint64,
  [ScalarType.FIXED32]: uint32,
  [ScalarType.BOOL]: fc.boolean(),
  // Lone surrogates and byte order marks too.
  [ScalarType.STRING]: fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc.string({ minLength: 100, maxLength: 300 }),
    fc.constantFrom('\ud800', '\ufeffmark', '\ufffd', 'é'.repeat(70)),
  ),
  [ScalarType.BYTES]: fc.uint8Array({ maxLength: 200 }),
  [ScalarType.UINT32]: uint32,
  [ScalarType.SFIXED32]: int32,
  [ScalarType.SFIXED64]: int64,
  [ScalarType.SINT32]: int32,
  [ScalarType.SINT64]: int64,
};

/** Any message of a type, nested to `depth`. Each of its fields is set in some and not in others. */
export function arbitraryMessage(schema: DescMessage, depth = 2): fc.Arbitrary<Message> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of schema.members) {
    if (member.kind === 'oneof') {
      members[member.localName] = fc.oneof(
        ...member.fields
          .filter((field) => isPossible(field, depth))
          .map((field) => fc.record({ case: fc.constant(field.localName), value: single(field, depth) })),
      );
    } else if (isPossible(member, depth)) members[member.localName] = value(member, depth);
  }
  const required = schema.fields
    .filter((field) => field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED)
    .map((field) => field.localName);
  // A few fields at a time: a message of all of them would be too large to look through.
  const names = Object.keys(members);
  return fc
    .subarray(names, { maxLength: Math.min(12, names.length) })
    .map((chosen) => [...new Set([...chosen, ...required])])
    .chain((chosen) => fc.record(Object.fromEntries(chosen.map((name) => [name, members[name]!]))))
    .map((init) => create(schema, init));
}

function isPossible(field: DescField, depth: number): boolean {
  if (field.message === undefined) return true;
  return depth > 0 && !isWrapperDesc(field.message) && field.message.typeName !== 'google.protobuf.Struct';
}

function value(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case 'list':
      return fc.array(single(field, depth), { maxLength: 4 });
    case 'map':
      return fc
        .array(fc.tuple(scalars[field.mapKey].map(String), single(field, depth)), { maxLength: 4 })
        .map((entries) => Object.fromEntries(entries));
    default:
      return single(field, depth);
  }
}

function single(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return arbitraryMessage(field.message, depth - 1);
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map(({ number }) => number));
  return scalars[field.scalar];
}
