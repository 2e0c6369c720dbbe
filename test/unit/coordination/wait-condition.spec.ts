import { expect, it, vi } from 'vitest';
import { untilDecided, type Condition } from '../../../lib/coordination/wait-condition.js';
import { DecodeError } from '../../../lib/common/errors.js';
import type { StoreEntry, WatchEvent } from '../../../lib/store/engine/store-entry.js';
import { KeySpace } from '../../../lib/store/engine/store-key.js';

const key = new KeySpace(undefined).keyOf('k');
const created = new Date(1_000);
const caughtUp = { type: 'caught-up' } as const;

const entry = (revision: number, state: string): StoreEntry<string> => ({ key, state, revision, created });
const value = (revision: number, state: string): WatchEvent<string> => ({
  type: 'value',
  isUpdate: false,
  ...entry(revision, state),
});
const deleted = (revision: number): WatchEvent<string> => ({ type: 'deleted', isUpdate: true, key, revision, created });
const undecodable = (revision: number): WatchEvent<string> => ({
  type: 'undecodable',
  key,
  revision,
  created,
  error: new DecodeError('not of the type'),
});

const decides: Condition<string> = { isDone: (state) => state === 'done', isLost: (state) => state === 'lost' };
const untilGone: Condition<string> = { isDone: (state) => state === undefined };

async function* eventsOf(events: readonly WatchEvent<string>[]): AsyncGenerator<WatchEvent<string>> {
  for (const event of events) yield await Promise.resolve(event);
}

it.each([
  ['a newer state that is wanted', decides, [value(6, 'done')], 'done'],
  ['a newer state that can not become it', decides, [value(6, 'lost')], 'look'],
  ['a deletion', untilGone, [value(5, 'on the way'), caughtUp, deleted(6)], 'done'],
  ['nothing there', untilGone, [caughtUp], 'done'],
  ['what was read, and nothing else', decides, [value(5, 'on the way'), caughtUp], 'ended'],
  ['what was read, which is not gone', untilGone, [value(5, 'on the way'), caughtUp], 'ended'],
  ['an older state that is wanted', decides, [value(4, 'done'), value(5, 'on the way'), caughtUp], 'ended'],
  ['an older state that is lost', decides, [value(4, 'lost'), value(5, 'on the way'), caughtUp], 'ended'],
  ['an older deletion', untilGone, [deleted(4), value(5, 'on the way'), caughtUp], 'ended'],
  ['older bytes', decides, [undecodable(4), value(5, 'on the way'), caughtUp], 'ended'],
  ['an older state, then the wanted one', decides, [value(4, 'lost'), value(6, 'done')], 'done'],
  ['a bucket that is new since the read', decides, [value(1, 'done'), caughtUp], 'look'],
  ['a bucket that is new since the watch', decides, [value(5, 'on the way'), caughtUp, value(1, 'done')], 'done'],
] as const)('is decided by %s', async (_what, condition, events, outcome) => {
  const decided = await untilDecided(eventsOf(events), entry(5, 'on the way'), condition, vi.fn());
  expect(decided).toBe(outcome);
});

it.each([
  ['what was there before the read, on a replica that lags', [value(4, 'done'), caughtUp]],
  ['the same, which the leader does not have any more', [caughtUp, value(4, 'done')]],
  ['bytes that do not decode', [undecodable(4), caughtUp]],
  ['what has come since', [value(4, 'on the way'), caughtUp, value(5, 'done')]],
])('is not decided, where nothing was there, by %s: only a read tells which it is', async (_what, events) => {
  expect(await untilDecided(eventsOf(events), undefined, decides, vi.fn())).toBe('look');
});

it('is told the values that count, of which the first was not there at the read', async () => {
  const onValue = vi.fn();
  await untilDecided(eventsOf([value(1, 'on the way'), caughtUp, deleted(2)]), undefined, decides, onValue);
  expect(onValue.mock.calls).toEqual([[created]]);
  await untilDecided(eventsOf([value(1, 'on the way')]), entry(2, 'on the way'), decides, onValue);
  expect(onValue).toHaveBeenCalledTimes(1);
});

it('fails with what can not be decoded', async () => {
  const waiting = untilDecided(eventsOf([undecodable(6)]), entry(5, 'on the way'), decides, vi.fn());
  await expect(waiting).rejects.toThrow(DecodeError);
});
