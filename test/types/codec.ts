// Compiled by the type check, never run.
import { create } from '@bufbuild/protobuf';
import { expectTypeOf } from 'vitest';
import { RunSchema, type Run } from '../../lib/codec/gen/flow/v1/run_pb.js';
import type { MessageCodec } from '../../lib/codec/message-codec.js';
import { codecFor, json, type MessageOf, type MessageSchema } from '../../lib/codec/message-schema.js';

interface Order {
  id: number;
}
const OrderSchema = json<Order>('Order');

// The message is inferred from the schema.
expectTypeOf<MessageOf<typeof RunSchema>>().toEqualTypeOf<Run>();
expectTypeOf<MessageOf<typeof OrderSchema>>().toEqualTypeOf<Order>();
expectTypeOf<MessageOf<string>>().toEqualTypeOf<never>();

// Both kinds are schemas.
expectTypeOf(RunSchema).toExtend<MessageSchema>();
expectTypeOf(OrderSchema).toExtend<MessageSchema>();

// A codec is typed by its schema.
expectTypeOf(codecFor(RunSchema)).toEqualTypeOf<MessageCodec<Run>>();
expectTypeOf(codecFor(OrderSchema)).toEqualTypeOf<MessageCodec<Order>>();
// @ts-expect-error: another message type
codecFor(OrderSchema).encode(create(RunSchema));
// @ts-expect-error: no message at all
codecFor(RunSchema).encode({ flow: 'orders' });
