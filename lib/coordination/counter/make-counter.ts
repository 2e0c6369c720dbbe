import { CounterPartSchema } from '../../codec/gen/flow/v1/counter_pb.js';
import type { CoordinationRoom } from '../coordination-room.js';
import { StateRoom } from '../state-room.js';
import { Counter, CounterParts } from './counter.js';
import { resolveCounter, type CounterOptions } from './counter.options.js';

/** A counter of this process. Make one per name: additions to it share writes. */
export function makeCounter(room: CoordinationRoom, options: CounterOptions): Counter {
  const { name, parts } = resolveCounter(options);
  const state = new StateRoom(room, {
    kind: 'counter',
    name,
    title: 'Counter',
    reducer: new CounterParts(),
    schema: CounterPartSchema,
    ttlMs: undefined,
  });
  return new Counter(name, state, parts);
}
