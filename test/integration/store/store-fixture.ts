import { FlowConnection } from '../../../lib/connection/flow-connection.js';
import type { ConnectionOptions } from '../../../lib/connection/connection.options.js';
import { json } from '../../../lib/codec/message-schema.js';
import { createObjectStore } from '../../../lib/store/engine/create-object-store.js';
import type { KvObjectOptions } from '../../../lib/store/engine/kv-object.options.js';
import type { KvReducer } from '../../../lib/store/engine/kv-reducer.js';
import type { ObjectStore } from '../../../lib/store/engine/object-store.js';
import { silentLog } from '../../support/log.js';

/** A number and who changed it. */
export interface Tally {
  count: number;
  by: string[];
}

/** Adds a number; refuses a negative sum. */
export class Tallies implements KvReducer<Tally, number, { id: string }> {
  key({ id }: { id: string }) {
    return [id];
  }
  empty(): Tally {
    return { count: 0, by: [] };
  }
  apply(state: Tally, input: number) {
    state.count += input;
    if (state.count < 0) throw new RangeError(`would be ${state.count}`);
  }
}

export const TallySchema = json<Tally>('Tally');

/** Everything an iteration gives. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** A store on a connection of its own; both closed together. */
export async function openTallies(
  url: string,
  options: Partial<KvObjectOptions> = {},
  connect: Partial<ConnectionOptions> = {},
): Promise<{ store: ObjectStore<Tallies>; connection: FlowConnection } & AsyncDisposable> {
  const connection = await FlowConnection.connect({ servers: url, reconnectWait: '50ms', ...connect }, silentLog);
  const store = await createObjectStore(
    connection,
    new Tallies(),
    { bucket: 'tallies', schema: TallySchema, ...options },
    { mode: 'auto', log: silentLog },
  );
  return {
    store,
    connection,
    async [Symbol.asyncDispose]() {
      await store.close();
      await connection.close();
    },
  };
}
