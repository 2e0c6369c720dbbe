import { create } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';
import { BarrierStateSchema, type BarrierState } from '../../codec/gen/flow/v1/barrier_pb.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';

/** Barriers as state objects. */
export class Barriers implements KvReducer<BarrierState, never, string> {
  key(key: string): string {
    return key;
  }
  empty(): BarrierState {
    return create(BarrierStateSchema, { life: randomUUID() });
  }
  apply(_state: BarrierState, _input: never): void {
    // Changed by functions only.
  }
}
