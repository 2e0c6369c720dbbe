import { listRevisions } from './bucket-listing.js';
import type { AnyKvReducer, StateOf } from './kv-reducer.js';
import { orAborted } from './or-aborted.js';
import type { StoreParts } from './store-parts.js';
import { toEvent, type KeyEvent } from './watch-events.js';

/**
 * All revisions of a key that the bucket keeps; see `ObjectStore.history`.
 *
 * @throws CancelledError as soon as `signal` aborts: a part would look like the whole.
 */
export async function readHistory<R extends AnyKvReducer>(
  parts: StoreParts<R>,
  key: string,
  signal: AbortSignal | undefined,
): Promise<KeyEvent<StateOf<R>>[]> {
  return orAborted(collect(parts, key, signal), `history of "${key}" in bucket "${parts.layout.bucket}"`, signal);
}

async function collect<R extends AnyKvReducer>(
  parts: StoreParts<R>,
  key: string,
  signal: AbortSignal | undefined,
): Promise<KeyEvent<StateOf<R>>[]> {
  const revisions: KeyEvent<StateOf<R>>[] = [];
  const listing = { pattern: key, include: 'history', keysOnly: false, signal } as const;
  for await (const { key: text, revision } of listRevisions(parts.connection, parts.layout, listing)) {
    revisions.push(toEvent(parts, text, revision, false));
  }
  return revisions;
}
