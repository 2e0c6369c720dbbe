import { ConfigurationError } from '../../common/errors.js';
import { toChange, type Modified } from './modified.js';
import type { TransactionChange } from './transactions.js';

/**
 * What a transaction does: changes the drafts it gets, one per key in their order, the empty state where there is no entry.
 * Returns nothing, or for each key what a `modify` function may return. Synchronous and without side effects.
 */
export type TransactionFunction<State> = (
  drafts: State[],
  info: { readonly exist: readonly boolean[] },
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- the result of a function without return is void
) => readonly Modified<State>[] | undefined | void;

/** The function in the terms of the engine. */
export function toChanges<State>(
  change: TransactionFunction<State>,
  empty: (index: number) => State,
): TransactionChange<State> {
  return (before) => {
    const drafts = before.map((state, index) => state ?? empty(index));
    const returned: unknown = change([...drafts], { exist: before.map((state) => state !== undefined) });
    if (returned !== undefined && (!Array.isArray(returned) || returned.length !== drafts.length))
      throw new ConfigurationError('A transaction', [
        `its function must be synchronous, and return nothing or an array of ${drafts.length} results, one per key`,
      ]);
    const results = (returned ?? []) as readonly unknown[];
    return drafts.map((draft, index) => toChange(results[index], draft));
  };
}
