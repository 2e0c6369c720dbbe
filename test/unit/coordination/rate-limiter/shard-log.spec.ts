import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { placeOf, SEGMENTS } from '../../../../lib/coordination/rate-limiter/shards/key-place.js';
import {
  decodeShardCommit,
  revisionsBefore,
  ShardCommitWriter,
} from '../../../../lib/coordination/rate-limiter/shards/shard-commit.js';
import {
  KnownState,
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

const known = (text: string | undefined) => (text === undefined ? undefined : new KnownState(text, undefined));
const entryAt = (revision: number): StoredEntry => ({ ...ABSENT, revision });

/** Writes a step as a process does that knows `log`, which goes on by it. */
function commit(log: ShardLog, { changes, over }: Step, revision: number): Stored {
  const { next } = log;
  const changed = new Map<string, ChangedKey>();
  for (const [key, state] of changes) changed.set(key, { segment: placeOf(key, SHARDS).segment, state: known(state) });
  const gone: string[] = [];
  writer.begin(next);
  for (const [key, { state }] of changed) writer.key(key, state?.text);
  for (const [key, { text }] of log.segment(next.number % SEGMENTS)) {
    if (changed.has(key)) continue;
    if (over.includes(key)) gone.push(key);
    else writer.key(key, text);
  }
  writer.gaps(next.gaps);
  const data = writer.finish();
  log.goOn(entryAt(revision), next.number, changed, gone);
  return { entry: entryAt(revision), data };
}

const messagesOf = (stored: readonly Stored[]) => stored.map(({ data }) => decodeShardCommit(data));

function statesOf(log: ShardLog): Map<string, string> {
  const states = new Map<string, string>();
  for (let index = 0; index < SEGMENTS; index++)
    for (const [key, { text }] of log.segment(index)) {
      expect(placeOf(key, SHARDS).segment).toBe(index);
      states.set(key, text);
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
      fc.property(steps, fc.nat(20), fc.nat(40), (all, gap, pause) => {
        const writing = new ShardLog(SHARDS);
        const reading = new ShardLog(SHARDS);
        const occasional = new ShardLog(SHARDS);
        let read = -1;
        const before: number[] = [];
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
          expect(reading.distanceTo(message)).toBe(index > 0 ? 1 : undefined);
          expect(revisionsBefore(message)).toEqual(before.slice(0, SEGMENTS - 1));
          before.unshift(sent.entry.revision);
          if (index % (pause + 1) === 0) {
            // Whoever reads now and then knows how much it has missed, unless that is too much.
            const missed = index - read;
            const distance = read < 0 || missed >= SEGMENTS ? undefined : missed;
            expect(occasional.distanceTo(message)).toBe(distance);
            if (distance === undefined) occasional.empty();
            occasional.apply(sent.entry, messagesOf(stored.slice(distance === undefined ? -SEGMENTS : -distance)));
            expect(statesOf(occasional)).toEqual(model);
            read = index;
          }
          reading.apply(sent.entry, [message]);
        }
        const late = new ShardLog(SHARDS);
        late.apply((stored.at(-1) as Stored).entry, messagesOf(stored.slice(-SEGMENTS)));
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
      log.apply((stored.at(-1) as Stored).entry, messagesOf(stored.slice(-count)));
      return statesOf(log).size;
    };
    expect([after(SEGMENTS - 1) < 500, after(SEGMENTS)]).toEqual([true, 500]);
  });

  it('is nothing at first, and not relied on when it is distrusted', () => {
    const log = new ShardLog(SHARDS);
    const nothing = { previous: 0, number: 0, shards: SHARDS, gaps: [] };
    expect([log.revision, log.next]).toEqual([0, nothing]);
    const { entry, data } = commit(new ShardLog(SHARDS), { changes: [['key', 'state']], over: [] }, 7);
    log.apply(entry, [decodeShardCommit(data)]);
    expect([log.revision, log.next, log.reaches(7)]).toEqual([
      7,
      { previous: 7, number: 1, shards: SHARDS, gaps: [] },
      true,
    ]);
    log.believed = true;
    const { epoch } = log;
    log.distrust();
    expect([log.believed, log.reaches(7), log.epoch === epoch]).toEqual([false, false, false]);
    // For whoever goes by it right now.
    expect(statesOf(log).size).toBe(1);
    expect(log.distanceTo({ previous: 7, number: 1, shards: SHARDS, keys: [], gaps: [] })).toBeUndefined();
  });

  it('begins anew behind an entry that says nothing of any key', () => {
    const log = new ShardLog(SHARDS);
    commit(log, { changes: [['key', 'state']], over: [] }, 7);
    log.clear(entryAt(9));
    const next = { previous: 0, number: 0, shards: SHARDS, gaps: [] };
    expect([log.revision, log.next, statesOf(log).size]).toEqual([9, next, 0]);
    expect(log.distanceTo({ previous: 9, number: 0, shards: SHARDS, keys: [], gaps: [] })).toBeUndefined();
  });

  it('goes on only by what comes after it', () => {
    const log = new ShardLog(SHARDS);
    const { entry, data } = commit(new ShardLog(SHARDS), { changes: [], over: [] }, 7);
    log.apply(entry, [decodeShardCommit(data)]);
    const of = (previous: number, number: number, gaps: number[] = []) =>
      log.distanceTo({ previous, number, shards: SHARDS, keys: [], gaps });
    expect([of(7, 1), of(9, 2, [2]), of(12, 3, [3, 2])]).toEqual([1, 2, 3]);
    expect([of(7, 0), of(7, 2), of(6, 1), of(0, 1), of(9, 2, [3]), of(9, 1, [2])]).toEqual(Array(6).fill(undefined));
  });
});

describe('a draft', () => {
  it('is the shard with what was changed, which the shard itself does not see', () => {
    const log = new ShardLog(SHARDS);
    const { segment } = placeOf('key', SHARDS);
    commit(log, { changes: [['key', 'stored']], over: [] }, 1);
    const draft = new ShardDraft(log);
    const both = () => [draft.get(segment, 'key')?.text, log.segment(segment).get('key')?.text];
    expect(both()).toEqual(['stored', 'stored']);
    draft.changed.set('key', { segment, state: known('changed') });
    expect(both()).toEqual(['changed', 'stored']);
    draft.changed.set('key', { segment, state: undefined });
    expect(both()).toEqual([undefined, 'stored']);
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
