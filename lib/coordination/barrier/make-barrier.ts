import { BarrierStateSchema } from '../../codec/gen/flow/v1/barrier_pb.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { StateRoom } from '../state-room.js';
import { Barrier } from './barrier.js';
import { Barriers } from './barriers.js';
import { resolveBarrier, type BarrierOptions } from './barrier.options.js';

/** A barrier of this process. */
export function makeBarrier(room: CoordinationRoom, options: BarrierOptions): Barrier {
  const { name, parties, ttl: ttlMs } = resolveBarrier(options);
  const title = 'Barrier';
  const reducer = new Barriers();
  return new Barrier(
    name,
    parties,
    new StateRoom(room, { kind: 'barrier', name, title, reducer, schema: BarrierStateSchema, ttlMs }),
  );
}
