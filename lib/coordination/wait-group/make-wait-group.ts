import { WaitGroupCountSchema } from '../../codec/gen/flow/v1/wait_group_pb.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { StateRoom } from '../state-room.js';
import { WaitGroup, WaitGroupCounts } from './wait-group.js';
import { resolveWaitGroup, type WaitGroupOptions } from './wait-group.options.js';

/** A wait group of this process. */
export function makeWaitGroup(room: CoordinationRoom, options: WaitGroupOptions): WaitGroup {
  const { name, ttl: ttlMs } = resolveWaitGroup(options);
  const title = 'WaitGroup';
  const reducer = new WaitGroupCounts();
  return new WaitGroup(
    name,
    new StateRoom(room, { kind: 'waitgroup', name, title, reducer, schema: WaitGroupCountSchema, ttlMs }),
  );
}
