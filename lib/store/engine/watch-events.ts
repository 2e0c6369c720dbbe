import { onAbort } from '../../common/abort-listeners.js';
import { DecodeError } from '../../common/errors.js';
import type { WatchFrom } from './bucket-watch.js';
import { EventQueue } from './event-queue.js';
import type { AnyKvReducer, StateOf } from './kv-reducer.js';
import type { RunningWatch } from './shared-watch.js';
import type { WatchEvent } from './store-entry.js';
import type { StoredRevision } from './stored-entry.js';
import type { StoreParts } from './store-parts.js';

export interface WatchOptions {
  /** Ends the watch, without an error; also one that waits for the server to start. */
  readonly signal?: AbortSignal;
  /**
   * What to begin with: the `'last'` revision of every key, the whole `'history'` that is kept, or nothing, only what is
   * `'new'`. A history is fetched at the reader's pace, and so are the changes behind it: for a slow reader up to about
   * 32 MB per watch wait in memory, and it misses only what the bucket does not keep until its turn comes. @default 'last'
   */
  readonly from?: WatchFrom;
}

/** An event about a key. */
export type KeyEvent<State> = Exclude<WatchEvent<State>, { type: 'caught-up' }>;

/** What a revision of a key says. */
export function toEvent<R extends AnyKvReducer>(
  { codec, keySpace }: Pick<StoreParts<R>, 'codec' | 'keySpace'>,
  keyText: string,
  stored: StoredRevision,
  isUpdate: boolean,
): KeyEvent<StateOf<R>> {
  const key = keySpace.parse(keyText);
  const { revision, created, data } = stored;
  if (data === undefined) return { type: 'deleted', key, revision, created, isUpdate };
  try {
    return { type: 'value', key, state: codec.decode(keyText, stored, data), revision, created, isUpdate };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { type: 'undecodable', key, revision, created, error };
  }
}

/** What waits for the reader: decoded when it is taken, and by then perhaps replaced by something newer. */
type Waiting =
  { readonly keyText: string; readonly revision: StoredRevision; readonly isUpdate: boolean } | 'caught-up';

/** The events of a key pattern; see `ObjectStore.watch`. */
export async function* watchEvents<R extends AnyKvReducer>(
  parts: StoreParts<R>,
  pattern: string,
  { signal, from = 'last' }: WatchOptions,
): AsyncGenerator<WatchEvent<StateOf<R>>, void, undefined> {
  const { stopping } = parts;
  if (signal?.aborted === true || stopping?.aborted === true) return;
  // Older revisions of a key are what the history is for: it is fetched at the reader's pace instead.
  const keepsAll = from === 'history';
  const queue = new EventQueue<Waiting>({ thins: !keepsAll });
  const ending = new AbortController();
  const finish = (): void => {
    ending.abort();
    queue.clear();
    queue.end();
  };
  const release = parts.addWatch(finish);
  const unlisten = signal && onAbort(signal, finish);
  const goOn = stopping && onAbort(stopping, finish);
  let caughtUp = from === 'new';
  let watch: RunningWatch | undefined;
  try {
    try {
      watch = await parts.startWatch({
        pattern,
        from,
        signal: ending.signal,
        ...(keepsAll && { room: () => queue.room() }),
        onRevision: (keyText, revision) => queue.push(keyText, { keyText, revision, isUpdate: caughtUp }),
        onCaughtUp: () => {
          caughtUp = true;
          queue.push(undefined, 'caught-up');
        },
        onEnd: (error) => queue.end(error),
      });
    } catch (error) {
      // A start that was given up may fail as it likes.
      if (ending.signal.aborted) return;
      throw error;
    }
    for (;;) {
      const waiting = await queue.take();
      if (waiting === undefined) return;
      if (waiting === 'caught-up') yield { type: 'caught-up' };
      else yield toEvent(parts, waiting.keyText, waiting.revision, waiting.isUpdate);
    }
  } finally {
    unlisten?.();
    goOn?.();
    release();
    await watch?.stop();
  }
}
