import { describe, expect, it } from 'vitest';
import { json } from '../../../lib/codec/message-schema.js';
import { ConfigurationError } from '../../../lib/common/errors.js';
import { flow } from '../../../lib/flow/contract.js';

const Order = json<{ id: string }>('Order');
const Receipt = json<{ total: number }>('Receipt');

function problemsOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

describe('flow()', () => {
  it('keeps what it is given and fills in the rest', () => {
    expect(flow('orders', { input: Order })).toEqual({
      name: 'orders',
      input: Order,
      track: 'run',
      retentionMs: 604_800_000,
    });
    const contract = flow('orders', { input: Order, output: Receipt, track: 'none', retention: '1h' });
    expect(contract).toEqual({ name: 'orders', input: Order, output: Receipt, track: 'none', retentionMs: 3_600_000 });
    expect(Object.isFrozen(contract)).toBe(true);
  });

  it.each(['', 'a b', 'a.b', 'ä', '>', 'x'.repeat(65)])('refuses the name "%s"', (name) => {
    expect(problemsOf(() => flow(name, { input: Order }))).toEqual([expect.stringContaining('not valid')]);
  });

  it.each(['dead', 'DEAD', 'orders_IN'])('refuses the name "%s", which would meet the library’s own', (name) => {
    expect(problemsOf(() => flow(name, { input: Order }))).toHaveLength(1);
  });

  it('tells all problems at once', () => {
    const options = { input: 'Order', track: 'all', retention: 'a week' } as unknown as { input: typeof Order };
    expect(problemsOf(() => flow('a.b', options))).toEqual([
      expect.stringContaining('name'),
      expect.stringContaining('input'),
      expect.stringContaining('track'),
      expect.stringContaining('retention'),
    ]);
    expect(problemsOf(() => flow('a', { input: Order, retention: 0 }))).toEqual([expect.stringContaining('retention')]);
  });
});
