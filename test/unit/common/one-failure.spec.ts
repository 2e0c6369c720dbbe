import { describe, expect, it } from 'vitest';
import { ConfigurationError, ConnectionError } from '../../../lib/common/errors.js';
import { failuresOf, oneFailure } from '../../../lib/common/one-failure.js';

const wrong = new ConfigurationError('Flow "a"', ['no steps']);
const worse = new ConfigurationError('Flow "b"', ['a cycle']);
const gone = new ConnectionError('gone');

describe('what went wrong side by side', () => {
  it('is nothing, or the only thing as it is', () => {
    expect(oneFailure('Flows', [])).toBeUndefined();
    for (const only of [wrong, gone]) expect(oneFailure('Flows', [only])).toBe(only);
  });

  it('is told as a whole when some of it is about the configuration', () => {
    expect(oneFailure('Flows', [wrong, worse])).toMatchObject({ problems: [wrong.message, worse.message] });
    expect(oneFailure('Flows', [gone, wrong])).toMatchObject({
      code: 'CONFIGURATION',
      problems: ['ConnectionError: gone', wrong.message],
      cause: gone,
    });
  });

  it('is the first of it otherwise', () => {
    expect(oneFailure('Flows', [gone, new ConnectionError('gone too')])).toBe(gone);
  });

  it('is what promises were rejected with, after all have ended', async () => {
    let ended = false;
    const late = new Promise((resolve) => setImmediate(() => resolve((ended = true))));
    expect(await failuresOf([Promise.reject(gone), late, Promise.reject(wrong)])).toEqual([gone, wrong]);
    expect(ended).toBe(true);
  });
});
