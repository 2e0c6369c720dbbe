import type { KeyPart, StoreKey } from './store-key.js';

/** A new state, or nothing when the given one was changed. */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- the result of a method without return is void
export type Changed<State> = State | void;

/** What `key()` returns: one part, or several that become the dot-separated tokens of the key. */
export type KeyParts = KeyPart | readonly KeyPart[];

/**
 * How one kind of state is found and changed. A class that implements it, decorated with `@KvObject`, is all
 * an `ObjectStore` needs; state, input and key types are inferred from its methods.
 *
 * Methods are synchronous and may run several times for one update (another writer came first): they decide
 * from their arguments only, and have no side effects.
 *
 * @example
 * class AirportDelays implements KvReducer<AirportDelaysMsg, FlightArrived, { iata: string }> { … }
 */
export interface KvReducer<State, Input, KeyParams = unknown> {
  /**
   * The key of `params`. Return an array for a key of several tokens, so that patterns can match each of them:
   * `[p.origin, p.destination]` is watched with `{ origin: '*', destination: 'JFK' }`. Parts may be any text.
   */
  key(params: KeyParams): KeyParts;

  /** The state of a key that has no entry yet. */
  empty(params: KeyParams): State;

  /**
   * The state after `input`: change `state` and return nothing, or return a new one. `state` is the caller's
   * own copy. Throwing rejects this update only; what was changed until then is dropped.
   */
  apply(state: State, input: Input): Changed<State>;
}

/** Any reducer, for constraints: every `KvReducer<…>` is assignable to it. */
export interface AnyKvReducer {
  key(params: never): KeyParts;
  empty(params: never): unknown;
  apply(state: never, input: never): unknown;
}

/** The state type of a reducer class. */
export type StateOf<R extends AnyKvReducer> = R extends { apply(state: infer State, input: never): unknown }
  ? State
  : never;

/** The input type of a reducer class; `never` when its `apply` takes none. */
export type InputOf<R extends AnyKvReducer> = R extends { apply(state: never, input: infer Input): unknown }
  ? Input
  : never;

/** The key parameters of a reducer class. */
export type KeyOf<R extends AnyKvReducer> = R extends { key(params: infer Params): KeyParts } ? Params : never;

/**
 * Key parameters in which parts may be left open: `'*'` for one part, `'>'` as the last for all that follow.
 * Parameters that are one text or number may be left open as a whole.
 */
export type KeyPattern<Params> = Params extends string | number | bigint
  ? Params | '*' | '>'
  : { readonly [Name in keyof Params]: Params[Name] | '*' | '>' };

/** Where an existing entry is meant: by its parameters, or by the key that `keys()`, `watch()` or an entry gave. */
export type KeyRef<R extends AnyKvReducer> = KeyOf<R> | StoreKey;
