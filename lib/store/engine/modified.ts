import { REMOVED, UNCHANGED, type Change } from './change.js';
import type { Changed } from './kv-reducer.js';

/** What a `modify` function may return: a new state, nothing when it changed the draft, or what to do instead. */
export type Modified<State> = Changed<State> | typeof UNCHANGED | typeof REMOVED;

/** What the return value of a `modify` function, a `Modified<State>`, wants done; `draft` is what it was given to change. */
export function toChange<State>(returned: unknown, draft: State): Change<State> {
  if (returned === UNCHANGED) return { kind: 'keep' };
  if (returned === REMOVED) return { kind: 'remove', purge: false };
  return { kind: 'write', state: (returned as State | undefined) ?? draft };
}
