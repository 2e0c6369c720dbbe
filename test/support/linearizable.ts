/** One operation of a history, as its caller saw it. Times are of one clock for all callers. */
export interface ObservedOperation<State> {
  /** For messages. */
  readonly what: string;
  readonly invoked: number;
  /** `Infinity`: the caller does not know whether it was applied. It may take effect at any time after, or never. */
  readonly returned: number;
  /** The state after it; `undefined` when it cannot have given its result on this state. */
  readonly apply: (state: State) => { readonly state: State } | undefined;
}

/** What {@link findLinearization} found. */
export type Verdict =
  | { readonly ok: true }
  /** No order explains the history. `stuck`: what could not be placed after the longest order that was found. */
  | { readonly ok: false; readonly placed: readonly string[]; readonly stuck: readonly string[] };

/**
 * Looks for an order of the operations in which each gives the result that its caller got, and none comes before one
 * that had returned before it was invoked (Wing and Gong's search; states that were come to before are not searched again,
 * as Lowe does).
 *
 * @param describe text that is equal for equal states
 */
export function findLinearization<State>(
  operations: readonly ObservedOperation<State>[],
  initial: State,
  describe: (state: State) => string,
): Verdict {
  const sorted = operations.toSorted((a, b) => a.invoked - b.invoked);
  const done = new Uint8Array(sorted.length);
  const tried = new Set<string>();
  const order: number[] = [];
  let longest: { placed: number[]; stuck: number[] } = { placed: [], stuck: [] };
  let unplaced = sorted.filter(({ returned }) => returned < Infinity).length;

  /** Those that may come next: invoked before any that is left has returned. */
  const candidates = (): number[] => {
    let earliest = Infinity;
    const open: number[] = [];
    for (const [index, { invoked, returned }] of sorted.entries()) {
      if (done[index] === 1) continue;
      if (invoked > earliest) break;
      open.push(index);
      earliest = Math.min(earliest, returned);
    }
    // What certainly happened first: the others need not be placed at all.
    return open
      .filter((index) => sorted[index]!.invoked <= earliest)
      .sort((a, b) => sorted[a]!.returned - sorted[b]!.returned);
  };

  const search = (state: State): boolean => {
    if (unplaced === 0) return true;
    const place = `${Buffer.from(done).toString('latin1')} ${describe(state)}`;
    if (tried.has(place)) return false;
    tried.add(place);
    const open = candidates();
    if (order.length >= longest.placed.length) longest = { placed: [...order], stuck: open };
    for (const index of open) {
      const operation = sorted[index]!;
      const after = operation.apply(state);
      if (after === undefined) continue;
      const counts = operation.returned < Infinity ? 1 : 0;
      done[index] = 1;
      order.push(index);
      unplaced -= counts;
      if (search(after.state)) return true;
      unplaced += counts;
      order.pop();
      done[index] = 0;
    }
    return false;
  };

  if (search(initial)) return { ok: true };
  const names = (indices: readonly number[]): string[] => indices.map((index) => sorted[index]!.what);
  return { ok: false, placed: names(longest.placed), stuck: names(longest.stuck) };
}
