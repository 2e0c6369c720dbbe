import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { subjectCovers } from '../../../lib/stream/subject-pattern.js';

describe('subjectCovers', () => {
  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a.*', true],
    ['a.*', 'a.>', false],
    ['a.*', 'a.b.c', false],
    ['a.>', 'a.b.c', true],
    ['a.>', 'a.*.c', true],
    ['a.>', 'a.>', true],
    ['a.>', 'a', false],
    ['>', 'a.>', true],
    ['a.b', 'a.*', false],
    ['*.b', 'a.b', true],
    ['*.*', 'a', false],
    ['a.b.>', 'a.>', false],
  ])('"%s" and "%s": %s', (outer, inner, expected) => {
    expect(subjectCovers(outer, inner)).toBe(expected);
  });

  it('covers only what matches: no subject of the inner pattern escapes the outer one', () => {
    const token = fc.constantFrom('a', 'b');
    const subject = fc.array(token, { minLength: 1, maxLength: 4 });
    const pattern = fc
      .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([tokens, open]) => (open ? [...tokens.slice(1), '>'] : tokens).join('.'));
    fc.assert(
      fc.property(pattern, pattern, subject, (outer, inner, tokens) => {
        const text = tokens.join('.');
        // A subject is a pattern that covers itself only, so covering it is matching it.
        if (subjectCovers(outer, inner) && subjectCovers(inner, text)) expect(subjectCovers(outer, text)).toBe(true);
      }),
    );
  });
});
