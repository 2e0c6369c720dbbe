import { LatchCountSchema } from '../../codec/gen/flow/v1/latch_pb.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { StateRoom } from '../state-room.js';
import { CountDownLatch, LatchCounts } from './count-down-latch.js';
import { resolveLatch, type CountDownLatchOptions } from './latch.options.js';

/** A latch of this process. */
export function makeLatch(room: CoordinationRoom, options: CountDownLatchOptions): CountDownLatch {
  const { name, ttl: ttlMs } = resolveLatch(options);
  const title = 'CountDownLatch';
  const reducer = new LatchCounts();
  return new CountDownLatch(
    name,
    new StateRoom(room, { kind: 'latch', name, title, reducer, schema: LatchCountSchema, ttlMs }),
  );
}
