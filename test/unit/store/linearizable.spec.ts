import { describe, expect, it } from 'vitest';
import { checkHistory, Chains, type Chain, type ChainRecord } from '../../chaos/support/chain-history.js';

const reducer = new Chains();

/** The chain of these operations. */
function chain(...ids: string[]): Chain {
  return ids.reduce((state, id) => reducer.apply(state, id), reducer.empty());
}

function record(
  kind: ChainRecord['kind'],
  id: string,
  [invoked, returned]: readonly [number, number],
  result: Partial<ChainRecord>,
): ChainRecord {
  return { kind, id, key: 'k', invoked, returned, outcome: 'done', ...result };
}

/** The tests of the store rest on this checker, so it must find what is wrong. */
describe('the history checker', () => {
  it('accepts operations one after the other, and concurrent ones in any order', () => {
    const records = [
      record('read', 'r0', [0, 1], { chain: undefined }),
      record('add', 'a', [2, 9], { chain: chain('b', 'a') }),
      record('add', 'b', [3, 8], { chain: chain('b') }),
      record('read', 'r1', [4, 5], { chain: undefined }),
      record('keep', 'r2', [10, 11], { chain: chain('b', 'a') }),
      record('delete', 'd', [12, 13], { existed: true }),
      record('add', 'c', [14, 15], { chain: chain('c') }),
      record('reset', 'z', [16, 17], {}),
      record('again', 'e', [18, 19], { chain: chain('e') }),
      record('again', 'e', [20, 21], { chain: chain('e') }),
    ];
    expect(checkHistory(records)).toEqual({ ok: true });
  });

  it.each<[what: string, records: ChainRecord[]]>([
    [
      'a lost update',
      [record('add', 'a', [0, 1], { chain: chain('a') }), record('add', 'b', [2, 3], { chain: chain('b') })],
    ],
    [
      'two updates of one state',
      [record('add', 'a', [0, 9], { chain: chain('a') }), record('add', 'b', [0, 9], { chain: chain('b') })],
    ],
    [
      'a stale read',
      [
        record('add', 'a', [0, 1], { chain: chain('a') }),
        record('add', 'b', [2, 3], { chain: chain('a', 'b') }),
        record('read', 'r', [4, 5], { chain: chain('a') }),
      ],
    ],
    [
      'reads that go back in time',
      [
        record('add', 'a', [0, 9], { chain: chain('a') }),
        record('read', 'r', [1, 2], { chain: chain('a') }),
        record('read', 's', [3, 4], { chain: undefined }),
      ],
    ],
    [
      'an update that is applied twice',
      [record('again', 'a', [0, 1], { chain: chain('a') }), record('again', 'a', [2, 3], { chain: chain('a', 'a') })],
    ],
    [
      'an update that failed and yet was applied',
      [record('add', 'a', [0, 1], { outcome: 'failed' }), record('read', 'r', [2, 3], { chain: chain('a') })],
    ],
    ['a deletion of what was not there', [record('delete', 'd', [0, 1], { existed: true })]],
  ])('finds %s', (_what, records) => {
    expect(checkHistory(records).ok).toBe(false);
  });

  it('lets an operation of unknown outcome take effect later, or never, but once', () => {
    const lost = record('add', 'a', [0, 1], { outcome: 'unknown' });
    expect(checkHistory([lost, record('read', 'r', [2, 3], { chain: undefined })])).toEqual({ ok: true });
    expect(
      checkHistory([
        lost,
        record('add', 'b', [2, 3], { chain: chain('b') }),
        record('add', 'c', [4, 5], { chain: chain('b', 'a', 'c') }),
      ]),
    ).toEqual({ ok: true });
    expect(checkHistory([lost, record('delete', 'd', [2, 3], { existed: true })])).toEqual({ ok: true });
    expect(checkHistory([lost, record('read', 'r', [2, 3], { chain: chain('a', 'a') })]).ok).toBe(false);
  });
});
