import { z } from 'zod';
import type { MessageSchema } from '../codec/message-schema.js';

/** An option that takes a message type. */
export const messageSchemaOption = z.custom<MessageSchema>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === 'message' || value.kind === 'json'),
  'must be a generated Protobuf schema, or made by json()',
);
