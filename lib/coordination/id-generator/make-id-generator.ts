import { IdRangeSchema } from '../../codec/gen/flow/v1/id_range_pb.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { StateRoom } from '../state-room.js';
import { IdGenerator, IdRanges } from './id-generator.js';
import { resolveIdGenerator, type IdGeneratorOptions } from './id-generator.options.js';

/** An id generator of this process. Make one per name: two would each take blocks. */
export function makeIdGenerator(room: CoordinationRoom, options: IdGeneratorOptions): IdGenerator {
  const { name, block, start } = resolveIdGenerator(options);
  const state = new StateRoom(room, {
    kind: 'ids',
    name,
    title: 'IdGenerator',
    reducer: new IdRanges(start),
    schema: IdRangeSchema,
    ttlMs: undefined,
  });
  return new IdGenerator(name, state, block, room.log);
}
