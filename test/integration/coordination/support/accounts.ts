import { json } from '../../../../lib/codec/message-schema.js';
import type { CoordinationRoom } from '../../../../lib/coordination/coordination-room.js';
import type { Lease } from '../../../../lib/coordination/lease/lease.js';
import type { KvReducer } from '../../../../lib/store/engine/kv-reducer.js';
import type { ObjectStore } from '../../../../lib/store/engine/object-store.js';

/** What only the holder of a lock may write, guarded by its fencing token. */
export interface Account {
  fence?: number;
  writers: string[];
}

export class Accounts implements KvReducer<Account, never, string> {
  key(id: string) {
    return id;
  }
  empty(): Account {
    return { writers: [] };
  }
  apply(_state: Account, _input: never) {}
}

export function openAccounts(room: CoordinationRoom): Promise<ObjectStore<Accounts>> {
  return room.openStore(new Accounts(), { bucket: 'accounts', schema: json<Account>('Account') });
}

/** A write that the store takes only from the latest holder. */
export async function fencedWrite(accounts: ObjectStore<Accounts>, id: string, lease: Lease, by: string) {
  await accounts.modify(id, (account) => {
    account.fence = lease.fence(account.fence);
    account.writers.push(by);
  });
}
