import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EntryWriter, type Verdict } from '../../../lib/store/engine/entry-writer.js';
import { BucketLayout } from '../../../lib/store/engine/bucket-layout.js';
import type { StoreConnection } from '../../../lib/store/engine/store-connection.js';
import { ABSENT, type StoredEntry } from '../../../lib/store/engine/stored-entry.js';
import { WriterMarks } from '../../../lib/store/engine/writer-marks.js';

describe('WriterMarks', () => {
  it('knows the last commit of each writer, however many others wrote since', () => {
    let marks = WriterMarks.NONE.with('a', 1, 0).with('b', 5, 1).with('a', 40, 2);
    for (let commit = 6; commit < 500; commit++) marks = marks.with('b', commit, commit);
    expect(marks.last('a')).toBe(40);
    expect(marks.last('b')).toBe(499);
    expect(marks.last('c')).toBeUndefined();
    expect(WriterMarks.parse(marks.text).last('a')).toBe(40);
  });

  it('keeps 64 writers and says when one may have been dropped', () => {
    let marks = WriterMarks.NONE.with('first', 1, 0);
    for (let index = 0; index < 62; index++) marks = marks.with(`w${index}`, 1, index + 1);
    expect(marks.isFull).toBe(false);
    marks = marks.with('x', 1, 63);
    expect([marks.isFull, marks.last('first')]).toEqual([true, 1]);
    marks = marks.with('y', 1, 64);
    expect(marks.last('first')).toBeUndefined();
  });

  it('keeps what it was begun on and since when it holds, through the header and back', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(70), { minLength: 1 }), fc.nat(100_000), (writers, start) => {
        let marks = WriterMarks.NONE;
        writers.forEach((writer, index) => {
          marks = marks.with(`w${writer}`, index, start + index);
          expect(WriterMarks.parse(marks.text)).toEqual(marks);
        });
        expect([marks.on, marks.since]).toEqual([start, writers.length === 1 ? 0 : start + 1]);
      }),
    );
  });

  it('reads lists that do not say when they began, and has them say it from the next write on', () => {
    const old = WriterMarks.parse('a=1,b=2');
    expect([old.last('a'), old.last('b'), old.text]).toEqual([1, 2, 'a=1,b=2']);
    expect(old.with('b', 3, 9).text).toBe('b=3,a=1,~9.9');
    expect(WriterMarks.parse('').isEmpty).toBe(true);
  });
});

/** What a lost write on `base` is found to be by the entry that is there now. */
function verdict(base: StoredEntry, now: (ours: WriterMarks) => StoredEntry, sentMs = 0): Verdict {
  const connection = { apiPrefix: '$JS.API' } as StoreConnection;
  const options = {
    contentType: 'application/json',
    schemaVersion: 0,
    remember: { count: 1, ageMs: 1 },
    cleanupMs: undefined,
    history: 1,
    shortestLifeMs: 1_000,
  };
  const writer = new EntryWriter(connection, new BucketLayout('b'), options);
  const write = writer.prepare('k', base, new Uint8Array(), {
    purge: false,
    hashes: [],
    ttlMs: undefined,
    madeFrom: 0,
  });
  return write.judge(now(write.entryAt(base.revision + 1).writers), sentMs);
}

const at = (revision: number, writers = WriterMarks.NONE): StoredEntry => ({ ...ABSENT, revision, writers });

describe('a write whose reply is lost', () => {
  const listed = WriterMarks.NONE.with('x', 1, 3);

  it('was applied when its mark is there', () => {
    for (const base of [at(0), at(5), at(5, listed)]) {
      expect(verdict(base, (ours) => at(6, ours))).toBe('applied');
      expect(verdict(base, (ours) => at(9, ours.with('y', 1, 6)))).toBe('applied');
    }
  });

  it('may still come while the entry is where it was', () => {
    for (const base of [at(0), at(5), at(5, listed)]) expect(verdict(base, () => base)).toBe('pending');
  });

  it('was not applied when the list goes back to before it and does not have it', () => {
    expect(verdict(at(5, listed), () => at(6, listed.with('y', 1, 5)))).toBe('not applied');
    expect(verdict(at(5, listed), () => at(9, listed.with('y', 1, 5).with('z', 1, 6)))).toBe('not applied');
    // Begun by a version that does not say so, and gone on with by one that does.
    expect(verdict(at(5, WriterMarks.parse('x=1')), () => at(6, WriterMarks.parse('x=1').with('y', 1, 5)))).toBe(
      'not applied',
    );
  });

  it('was not applied when another began the list in its place', () => {
    for (const revision of [0, 5]) {
      const winner = WriterMarks.NONE.with('y', 1, revision);
      expect(verdict(at(revision), () => at(6, winner))).toBe('not applied');
      expect(verdict(at(revision), () => at(9, winner.with('z', 1, 6)))).toBe('not applied');
    }
  });

  it('is unknowable when the list began after it', () => {
    for (const base of [at(0), at(5), at(5, listed)]) {
      // On what a client without marks has left at 7; where there was no message any more; by a version that does not say.
      for (const first of [WriterMarks.NONE.with('y', 1, 7), WriterMarks.parse('y=1')]) {
        expect(verdict(base, () => at(8, first))).toBe('unknowable');
      }
      expect(verdict(base, () => at(9, WriterMarks.NONE.with('y', 1, 7).with('z', 1, 8)))).toBe('unknowable');
      expect(verdict(base, () => at(7))).toBe('unknowable');
      if (base.revision > 0) expect(verdict(base, () => at(8, WriterMarks.NONE.with('y', 1, 0)))).toBe('unknowable');
    }
    // For a key without a message, when it may have had one that has expired.
    expect(verdict(at(0), () => at(8, WriterMarks.NONE.with('y', 1, 0)), 1_001)).toBe('unknowable');
  });
});
