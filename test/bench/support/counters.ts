import { create } from '@bufbuild/protobuf';
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt';
import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import { createObjectStore } from '../../../lib/store/engine/create-object-store.js';
import type { KvReducer } from '../../../lib/store/engine/kv-reducer.js';
import type { ObjectStore } from '../../../lib/store/engine/object-store.js';
import { silentLog } from '../../support/log.js';

/** A counter in a Protobuf message. */
class Counters implements KvReducer<Duration, number, string> {
  key = (name: string): string => name;
  empty = (): Duration => create(DurationSchema);
  apply(state: Duration, input: number): void {
    state.seconds += BigInt(input);
  }
}

/** Opens the counters of the bucket `bench` over a connection of their own. */
export async function openCounters(url: string): Promise<{ store: ObjectStore<Counters>; connection: FlowConnection }> {
  const connection = await FlowConnection.connect({ servers: url }, silentLog);
  const store = await createObjectStore(
    connection,
    new Counters(),
    { bucket: 'bench', schema: DurationSchema },
    { mode: 'auto', log: silentLog },
  );
  return { store, connection };
}

/** Work items per second of `count` items done by `workers` loops. */
export async function rate(count: number, workers: number, work: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: workers }, async () => {
      while (next < count) await work(next++);
    }),
  );
  return (count * 1000) / (performance.now() - started);
}
