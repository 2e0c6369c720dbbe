/** Returned by a `modify` function: leave the entry as it is, write nothing. */
export const UNCHANGED: unique symbol = Symbol('unchanged');

/** Returned by a `modify` function: delete the entry. */
export const REMOVED: unique symbol = Symbol('removed');

/** What one operation wants done to the state it was given. */
export type Change<State> =
  | { readonly kind: 'write'; readonly state: State }
  | { readonly kind: 'remove'; readonly purge: boolean }
  | { readonly kind: 'keep' };

/**
 * One operation as a function of the state before it: `undefined` when there is no entry. It gets a copy of its own.
 * It may be called several times, and the last call counts; it may throw, which rejects only its caller.
 */
export type ChangeFunction<State> = (state: State | undefined) => Change<State>;
