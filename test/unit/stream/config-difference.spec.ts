import { describe, expect, it } from 'vitest';
import { configDifferences, describeDifference } from '../../../lib/stream/config-difference.js';

const SECOND = 1_000_000_000;

/** The differences, as text. */
function told(want: object, have: object): string[] {
  return configDifferences(want, have).map(describeDifference);
}

describe('configDifferences', () => {
  it('looks only at what is wanted', () => {
    expect(told({ name: 'A', max_age: undefined }, { name: 'A', max_age: 5, storage: 'file' })).toEqual([]);
  });

  it.each([
    [
      'no limit in any spelling',
      { max_msgs: 0, max_bytes: -1, max_msgs_per_subject: -1 },
      { max_msgs: -1, max_bytes: -1 },
    ],
    ['what the server leaves out because it is empty', { deny_delete: false, description: '', metadata: {} }, {}],
    [
      'the default of the server',
      { duplicate_window: 0, num_replicas: 0 },
      { duplicate_window: 120 * SECOND, num_replicas: 1 },
    ],
    ['metadata that the server adds to', { metadata: { a: '1' } }, { metadata: { a: '1', '_nats.level': '2' } }],
    ['subjects that others added', { subjects: ['b', 'a'] }, { subjects: ['a', 'b', 'c'] }],
    [
      'fields within fields',
      { republish: { src: 'a', dest: 'b' } },
      { republish: { src: 'a', dest: 'b', headers_only: false } },
    ],
    [
      'times in other words',
      { opt_start_time: '2026-11-22T10:00:00.000Z' },
      { opt_start_time: '2026-11-22T10:00:00Z' },
    ],
  ])('does not mind %s', (_name, want, have) => {
    expect(told(want, have)).toEqual([]);
  });

  it.each([
    [{ storage: 'memory' }, { storage: 'file' }, 'storage: have "file", want "memory"'],
    [{ max_age: 7 * 86_400 * SECOND }, { max_age: 61 * SECOND }, 'max_age: have 61000ms, want 7d'],
    [{ max_msgs: 5 }, { max_msgs: -1 }, 'max_msgs: have -1, want 5'],
    [{ max_age: 0 }, { max_age: SECOND }, 'max_age: have 1s, want 0ms'],
    [{ allow_atomic: true }, {}, 'allow_atomic: have nothing, want true'],
    [{ deny_purge: false }, { deny_purge: true }, 'deny_purge: have true, want false'],
    [{ subjects: ['a', 'x'] }, { subjects: ['a'] }, 'subjects: have ["a"], want ["a","x"]'],
    [{ backoff: [SECOND, 5 * SECOND] }, { backoff: [SECOND] }, 'backoff: have [1s], want [1s, 5s]'],
    [{ metadata: { a: '1' } }, { metadata: { a: '2' } }, 'metadata: have {"a":"2"}, want {"a":"1"}'],
    [{ republish: { src: 'a' } }, {}, 'republish: have nothing, want {"src":"a"}'],
  ])('sees %o against %o', (want, have, text) => {
    expect(told(want, have)).toEqual([text]);
  });
});
