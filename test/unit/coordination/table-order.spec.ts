import { describe, expect, it } from 'vitest';
import { GrantGap } from '../../../lib/coordination/lease/grant-gap.js';
import { TableOrder } from '../../../lib/coordination/lease/table-order.js';

describe('the order of tables', () => {
  it('passes over what the other way has told before', () => {
    const order = new TableOrder();
    expect(order.judge(5, true)).toBe('new');
    expect(order.judge(4, false)).toBe('old');
    expect(order.judge(7, false)).toBe('new');
    expect(order.judge(6, true)).toBe('old');
    expect(order.judge(7, true)).toBe('new');
  });

  it('begins anew with a bucket that does', () => {
    const order = new TableOrder();
    order.judge(50, true);
    expect(order.judge(0, true)).toBe('anew');
    expect(order.judge(3, false)).toBe('new');
    order.judge(50, true);
    expect(order.judge(2, true)).toBe('anew');
    expect(order.judge(3, false)).toBe('new');
  });
});

describe('a row of grants', () => {
  it('has a gap now and then when they follow each other closely', () => {
    const gap = new GrantGap();
    let granted = 0;
    for (let now = 0; now < 16; now++) gap.pass(now, () => (granted += 1));
    expect(granted).toBe(16);
    gap.pass(16, () => (granted += 1));
    expect(granted).toBe(16);
    for (let now = 100; now < 2_000; now += 50) gap.pass(now, () => (granted += 1));
    expect(granted).toBe(54);
  });
});
