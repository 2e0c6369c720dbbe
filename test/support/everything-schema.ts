import { create, createFileRegistry, type DescMessage } from '@bufbuild/protobuf';
import {
  DescriptorProtoSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type DescriptorProto,
  type FieldDescriptorProto,
} from '@bufbuild/protobuf/wkt';

type Syntax = 'proto2' | 'proto3';

const scalars = Object.entries(Type).filter(
  (entry): entry is [string, Type] =>
    typeof entry[1] === 'number' && ![Type.GROUP, Type.MESSAGE, Type.ENUM].includes(entry[1]),
);
const mapKeys = scalars.filter(([, type]) => ![Type.FLOAT, Type.DOUBLE, Type.BYTES].includes(type));

/**
 * A message type with every kind of field: each scalar type alone, optional, repeated (packed and not), in a oneof
 * and as key and value of a map; enums; messages, its own type among them; and field numbers whose tags take one to
 * five bytes.
 */
export function everythingSchema(syntax: Syntax): DescMessage {
  let number = 0;
  const nested: DescriptorProto[] = [];
  const fields: FieldDescriptorProto[] = [];
  const field = (init: Parameters<typeof create<typeof FieldDescriptorProtoSchema>>[1]): FieldDescriptorProto =>
    create(FieldDescriptorProtoSchema, { number: ++number, label: Label.OPTIONAL, ...init });
  const isPacked = (type: Type): boolean => type !== Type.STRING && type !== Type.BYTES;
  const everyKind = (name: string, init: { type: Type; typeName?: string }): void => {
    fields.push(field({ ...init, name: `one_${name}` }));
    fields.push(field({ ...init, name: `list_${name}`, label: Label.REPEATED }));
    if (isPacked(init.type) && init.type !== Type.MESSAGE) {
      const packed = syntax === 'proto2';
      fields.push(field({ ...init, name: `other_list_${name}`, label: Label.REPEATED, options: { packed } }));
    }
    fields.push(field({ ...init, name: `choice_${name}`, oneofIndex: 0 }));
    fields.push(mapField(`map_${name}`, Type.STRING, init));
  };
  const mapField = (name: string, key: Type, value: { type: Type; typeName?: string }): FieldDescriptorProto => {
    const entry = `${name.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())}Entry`;
    nested.push(
      create(DescriptorProtoSchema, {
        name: entry,
        options: { mapEntry: true },
        field: [
          { name: 'key', number: 1, type: key, label: Label.OPTIONAL },
          { ...value, name: 'value', number: 2, label: Label.OPTIONAL },
        ],
      }),
    );
    return field({ name, label: Label.REPEATED, type: Type.MESSAGE, typeName: `.test.Everything.${entry}` });
  };

  for (const [name, type] of scalars) everyKind(name.toLowerCase(), { type });
  everyKind('enum', { type: Type.ENUM, typeName: '.test.Color' });
  everyKind('message', { type: Type.MESSAGE, typeName: '.test.Everything' });
  everyKind('leaf', { type: Type.MESSAGE, typeName: '.test.Leaf' });
  for (const [name, type] of mapKeys) fields.push(mapField(`keyed_${name.toLowerCase()}`, type, { type: Type.INT32 }));
  for (const far of [3000, 500_000, 2 ** 29 - 1]) {
    fields.push(field({ name: `far_${far}`, number: far, type: Type.INT32 }));
  }
  // Declared last, numbered first: the order of encoding is that of the numbers.
  fields.push(field({ name: 'first', number: ++number, type: Type.STRING }));

  const oneofs = [{ name: 'choice' }];
  if (syntax === 'proto3') {
    for (const [name, type] of [...scalars, ['ENUM', Type.ENUM] as const]) {
      fields.push(
        field({
          name: `optional_${name.toLowerCase()}`,
          type,
          ...(type === Type.ENUM && { typeName: '.test.Color' }),
          proto3Optional: true,
          oneofIndex: oneofs.length,
        }),
      );
      oneofs.push({ name: `_optional_${name.toLowerCase()}` });
    }
  } else {
    fields.push(field({ name: 'needed', label: Label.REQUIRED, type: Type.INT32 }));
    fields.push(field({ name: 'preset', type: Type.INT32, defaultValue: '42' }));
  }

  const file = create(FileDescriptorProtoSchema, {
    name: `everything_${syntax}.proto`,
    package: 'test',
    syntax: syntax === 'proto2' ? '' : syntax,
    enumType: [
      {
        name: 'Color',
        value: [
          { name: 'NONE', number: 0 },
          { name: 'RED', number: 1 },
          { name: 'FAR', number: -5 },
        ],
      },
    ],
    messageType: [
      { name: 'Everything', field: fields, nestedType: nested, oneofDecl: oneofs },
      { name: 'Leaf', field: [{ name: 'text', number: 1, type: Type.STRING, label: Label.OPTIONAL }] },
    ],
  });
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  return registry.getMessage('test.Everything')!;
}
