import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { KeySpace } from '../../../lib/store/engine/store-key.js';

const keys = new KeySpace(undefined);

describe('keys', () => {
  it('may be any text, come back as they were, and are valid for every KV client', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }), (parts) => {
        const key = keys.keyOf(parts);
        expect(key.text).toMatch(/^[-/=\w]+(\.[-/=\w]+)*$/);
        expect(keys.parse(key.text).parts).toEqual(parts);
      }),
    );
  });

  it('of other clients stay as they are', () => {
    expect(keys.parse('a=zz.b=41').parts).toEqual(['a=zz', 'b=41']);
  });

  it('take numbers, and one part without a list', () => {
    expect(keys.keyOf(7).text).toBe('7');
    expect(keys.keyOf(['a', 5n]).text).toBe('a.5');
    expect(() => keys.keyOf([])).toThrow(ConfigurationError);
    expect(() => keys.keyOf(undefined as never)).toThrow('a part of type undefined');
  });

  it('fit into a line of the protocol, when they are escaped', () => {
    expect(keys.textOf('x'.repeat(3_072))).toHaveLength(3_072);
    expect(() => keys.textOf('x'.repeat(3_073))).toThrow('3073 characters as it is stored, 3072 fit');
    expect(() => keys.keyOf(['é'.repeat(512), 'x'])).toThrow(ConfigurationError);
    expect(() => keys.patternOf(['x'.repeat(3_072), '*'])).toThrow(ConfigurationError);
  });

  it('have patterns whose wildcards stand alone', () => {
    expect(keys.patternOf(['a b', '*'])).toBe('a=20b.*');
    expect(keys.patternOf(['a', '>'])).toBe('a.>');
    expect(() => keys.patternOf('a.*')).toThrow('mixes a wildcard with other text');
    expect(() => keys.patternOf(['>', 'a'])).toThrow(ConfigurationError);
    expect(new KeySpace('t 1').patternOf('*')).toBe('t=201.*');
    expect(new KeySpace('t 1').all).toBe('t=201.>');
  });
});
