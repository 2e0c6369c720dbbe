import { describe, expect, it } from 'vitest';
import { WriterMarks } from '../../../lib/store/engine/writer-marks.js';

describe('WriterMarks', () => {
  it('knows the last commit of each writer, however many others wrote since', () => {
    let marks = WriterMarks.NONE.with('a', 1).with('b', 5).with('a', 40);
    for (let commit = 6; commit < 500; commit++) marks = marks.with('b', commit);
    expect(marks.last('a')).toBe(40);
    expect(marks.last('b')).toBe(499);
    expect(marks.last('c')).toBeUndefined();
    expect(WriterMarks.parse(marks.text).last('a')).toBe(40);
  });

  it('keeps 64 writers and says when one may have been dropped', () => {
    let marks = WriterMarks.NONE.with('first', 1);
    for (let index = 0; index < 62; index++) marks = marks.with(`w${index}`, 1);
    expect(marks.isFull).toBe(false);
    marks = marks.with('x', 1);
    expect([marks.isFull, marks.last('first')]).toEqual([true, 1]);
    marks = marks.with('y', 1);
    expect(marks.last('first')).toBeUndefined();
  });
});
