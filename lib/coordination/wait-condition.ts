import type { StoreEntry, WatchEvent } from '../store/engine/store-entry.js';

/** What is waited for. */
export interface Condition<State> {
  /** Holds for the state (`undefined`: there is none) when it has come. */
  readonly isDone: (state: State | undefined) => boolean;
  /** Holds when it cannot come any more. @default it always can */
  readonly isLost?: (state: State | undefined) => boolean;
}

/** How a watch came to its end: what is waited for has come; the state is to be looked at anew; or the events ended. */
export type Outcome = 'done' | 'look' | 'ended';

/**
 * Follows the events of one key until they decide about `condition`.
 *
 * @param entry what was read before, for which the condition did not hold: older events decide nothing; and where there was
 * nothing, no value does
 * @param onValue told when each value that counts was written
 */
export async function untilDecided<State>(
  events: AsyncIterable<WatchEvent<State>>,
  entry: StoreEntry<State> | undefined,
  { isDone, isLost }: Condition<State>,
  onValue: (created: Date) => void,
): Promise<Outcome> {
  // A replica that lags behind begins with what was replaced before the read. From the mark on it has it all.
  let current: number = entry?.revision ?? 0;
  let told: 'nothing' | 'old' | 'current' = 'nothing';
  for await (const event of events) {
    if (event.type === 'caught-up') {
      current = 0;
      if (told === 'current') continue;
      // The bucket may have been made anew, with revisions from 1.
      if (told === 'old') return 'look';
    } else if (event.revision < current) {
      told = 'old';
      continue;
    } else told = 'current';
    // Without an entry before, any value may be older than that: a key that is gone leaves no revision to compare with, and when it
    // has expired not even the mark is behind what a replica still has. Only a read knows.
    const isDated = entry !== undefined;
    if (event.type === 'undecodable') {
      if (isDated) throw event.error;
      return 'look';
    }
    if (event.type === 'value') onValue(event.created);
    // Between the read and the watch the entry may have gone.
    const state = event.type === 'value' ? event.state : undefined;
    if (isDone(state)) return isDated || event.type !== 'value' ? 'done' : 'look';
    if (isLost?.(state) === true) return 'look';
  }
  return 'ended';
}
