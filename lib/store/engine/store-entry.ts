import type { DecodeError } from '../../common/errors.js';
import type { StoreKey } from './store-key.js';

/** An entry as it was at one revision. */
export interface StoreEntry<State> {
  readonly key: StoreKey;
  /** The caller's own copy. */
  readonly state: State;
  /** Grows with every write to the bucket; for `history`, and to tell which of two entries is newer. */
  readonly revision: number;
  /** When the server stored this revision. */
  readonly created: Date;
}

/** What a watch tells. */
export type WatchEvent<State> =
  /** A key has this state now; `isUpdate` is false for what was there when the watch began. */
  | ({ readonly type: 'value'; readonly isUpdate: boolean } & StoreEntry<State>)
  /** A key was deleted, purged or, where the server says so, has expired. */
  | {
      readonly type: 'deleted';
      readonly key: StoreKey;
      readonly revision: number;
      readonly created: Date;
      readonly isUpdate: boolean;
    }
  /** Everything that was there when the watch began has been told. Once per watch; at once when there was nothing. */
  | { readonly type: 'caught-up' }
  /** The key's bytes are not of the type. The watch goes on. */
  | {
      readonly type: 'undecodable';
      readonly key: StoreKey;
      readonly revision: number;
      readonly created: Date;
      readonly error: DecodeError;
    };
