import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeShardCommit, ShardCommitWriter } from '../../../../lib/coordination/rate-limiter/shards/shard-commit.js';
import {
  placeOf,
  SEGMENTS,
  ShardDraft,
  ShardLog,
  type ChangedKey,
} from '../../../../lib/coordination/rate-limiter/shards/shard-log.js';
import { ABSENT, type StoredEntry } from '../../../../lib/store/engine/stored-entry.js';

const SHARDS = 3;
const writer = new ShardCommitWriter();

/** What one commit does: changes (`undefined`: removed), and whether what the segment that it holds has is over, by key. */
interface Step {
  readonly changes: readonly (readonly [key: string, state: string | undefined])[];
  readonly over: readonly string[];
}

/** A message as the server has it. */
interface Stored {
  readonly entry: StoredEntry;
  readonly data: Uint8Array;
}

const entryAt = (revision: number): StoredEntry => ({ ...ABSENT, revision });

/** Writes a step as a process does that knows `log`, which goes on by it. */
function commit(log: ShardLog, { changes, over }: Step, revision: number): Stored {
  const { next } = log;
  const changed = new Map<string, ChangedKey>();
  for (const [key, state] of changes) changed.set(key, { segment: placeOf(key, SHARDS).segment, state });
  const gone: string[] = [];
  writer.begin(next);
  for (const [key, { state }] of changed) writer.key(key, state);
  for (const [key, state] of log.segment(next.number % SEGMENTS)) {
    if (changed.has(key)) continue;
    if (over.includes(key)) gone.push(key);
    else writer.key(key, state);
  }
  const data = writer.finish();
  log.goOn(entryAt(revision), next.number, changed, gone);
  return { entry: entryAt(revision), data };
}

function statesOf(log: ShardLog): Map<string, string> {
  const states = new Map<string, string>();
  for (let index = 0; index < SEGMENTS; index++)
    for (const [key, state] of log.segment(index)) {
      expect(placeOf(key, SHARDS).segment).toBe(index);
      states.set(key, state);
    }
  return states;
}

const key = fc.oneof(
  fc.nat(60).map((index) => `key-${index}`),
  fc.string({ unit: 'binary', maxLength: 3 }),
);
const state = fc.option(
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) }),
  {
    nil: undefined,
    freq: 4,
  },
);
const step: fc.Arbitrary<Step> = fc.record({
  changes: fc.array(fc.tuple(key, state), { maxLength: 6 }),
  over: fc.array(key, { maxLength: 20 }),
});
const steps = fc.array(step, { minLength: 1, maxLength: 3 * SEGMENTS, size: 'max' });

describe('what is known of a shard', () => {
  it('is the same for who writes, who reads along, and who reads the last messages only', () => {
    fc.assert(
      fc.property(steps, fc.nat(20), (all, gap) => {
        const writing = new ShardLog(SHARDS);
        const reading = new ShardLog(SHARDS);
        const model = new Map<string, string>();
        const stored: Stored[] = [];
        for (const [index, one] of all.entries()) {
          const { number } = writing.next;
          const sent = commit(writing, one, (index + 1) * (gap + 1));
          stored.push(sent);
          // By the definition alone: what is over goes where its segment is held, and what is changed is as it was changed.
          for (const name of one.over) if (placeOf(name, SHARDS).segment === number % SEGMENTS) model.delete(name);
          for (const [name, text] of one.changes) {
            if (text === undefined) model.delete(name);
            else model.set(name, text);
          }
          const message = decodeShardCommit(sent.data);
          expect(message).toMatchObject({ number: index, previous: stored[index - 1]?.entry.revision ?? 0 });
          expect(reading.isBefore(message)).toBe(index > 0);
          reading.apply(sent.entry, message);
        }
        const late = new ShardLog(SHARDS);
        for (const { entry, data } of stored.slice(-SEGMENTS)) late.apply(entry, decodeShardCommit(data));
        expect(statesOf(writing)).toEqual(model);
        expect(statesOf(reading)).toEqual(model);
        expect(statesOf(late)).toEqual(model);
        for (const log of [reading, late]) expect([log.next, log.entry]).toEqual([writing.next, writing.entry]);
      }),
      { numRuns: 100 },
    );
  });

  it('takes up to 32 messages: of fewer, something may be missing', () => {
    const writing = new ShardLog(SHARDS);
    const stored = Array.from({ length: 2 * SEGMENTS }, (_, index) => {
      const changes = index === 0 ? Array.from({ length: 500 }, (__, at) => [`key-${at}`, 'state'] as const) : [];
      return commit(writing, { changes, over: [] }, index + 1);
    });
    const after = (count: number): number => {
      const log = new ShardLog(SHARDS);
      for (const { entry, data } of stored.slice(-count)) log.apply(entry, decodeShardCommit(data));
      return statesOf(log).size;
    };
    expect([after(SEGMENTS - 1) < 500, after(SEGMENTS)]).toEqual([true, 500]);
  });

  it('is nothing at first, and when it is forgotten', () => {
    const log = new ShardLog(SHARDS);
    const nothing = { previous: 0, number: 0, shards: SHARDS };
    expect([log.revision, log.next]).toEqual([0, nothing]);
    commit(log, { changes: [['key', 'state']], over: [] }, 7);
    expect([log.revision, log.next]).toEqual([7, { previous: 7, number: 1, shards: SHARDS }]);
    log.believed = true;
    log.forget();
    expect([log.revision, log.next, log.believed, statesOf(log).size]).toEqual([0, nothing, false, 0]);
  });

  it('begins anew behind an entry that says nothing of any key', () => {
    const log = new ShardLog(SHARDS);
    commit(log, { changes: [['key', 'state']], over: [] }, 7);
    log.clear(entryAt(9));
    expect([log.revision, log.next, statesOf(log).size]).toEqual([9, { previous: 0, number: 0, shards: SHARDS }, 0]);
    expect(log.isBefore({ previous: 9, number: 0, shards: SHARDS, keys: [] })).toBe(false);
  });

  it('goes on only by what comes next', () => {
    const log = new ShardLog(SHARDS);
    commit(log, { changes: [], over: [] }, 7);
    const of = (previous: number, number: number) => ({ previous, number, shards: SHARDS, keys: [] });
    expect([of(7, 1), of(7, 0), of(7, 2), of(6, 1), of(0, 1)].map((next) => log.isBefore(next))).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe('a draft', () => {
  it('is the shard with what was changed, which the shard itself does not see', () => {
    const log = new ShardLog(SHARDS);
    const { segment } = placeOf('key', SHARDS);
    commit(log, { changes: [['key', 'stored']], over: [] }, 1);
    const draft = new ShardDraft(log);
    expect(draft.get(segment, 'key')).toBe('stored');
    draft.changed.set('key', { segment, state: 'changed' });
    expect([draft.get(segment, 'key'), log.segment(segment).get('key')]).toEqual(['changed', 'stored']);
    draft.changed.set('key', { segment, state: undefined });
    expect([draft.get(segment, 'key'), log.segment(segment).get('key')]).toEqual([undefined, 'stored']);
  });
});

describe('the place of a key', () => {
  it('is spread over all shards and all segments of each', () => {
    const places = Array.from({ length: 10_000 }, (_, index) => placeOf(`user-${index}`, 4));
    const counts = new Map<string, number>();
    for (const { shard, segment } of places) {
      const place = `${shard}/${segment}`;
      counts.set(place, (counts.get(place) ?? 0) + 1);
    }
    expect(counts.size).toBe(4 * SEGMENTS);
    expect(Math.max(...counts.values())).toBeLessThan(2 * (10_000 / counts.size));
  });
});
