import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaseTableSchema, type LeaseTable } from '../../../lib/codec/gen/flow/v1/lease_pb.js';
import {
  CLAIM_MS,
  enterTable,
  keepPlaces,
  leaveTable,
  PLACE_MS,
  renewLease,
  settleTable,
  TAKEOVER_MARGIN_MS,
} from '../../../lib/coordination/lease/lease-table.js';

const TTL = 10_000;
const wish = (id: string, shared = false) => ({ id, shared, ttlMs: TTL, owner: 'test' });
const holders = (table: LeaseTable): string[] => table.holders.map(({ id }) => id);
const waiters = (table: LeaseTable): string[] => table.waiters.map(({ id }) => id);

function tableOf(ids: readonly string[], capacity = 1, now = 0): LeaseTable {
  const table = create(LeaseTableSchema);
  for (const id of ids) enterTable(table, wish(id, id.startsWith('r')), true, now, capacity);
  return table;
}

describe('the table of a lock', () => {
  it('gives a free lease at once, and a place in the line otherwise; the same one once', () => {
    const table = tableOf(['a', 'b', 'b', 'a']);
    expect([holders(table), waiters(table)]).toEqual([['a'], ['b']]);
    expect(enterTable(table, wish('c'), false, 0, 1)).toBe(false);
    expect(waiters(table)).toEqual(['b']);
  });

  it('hands over with the release, for no longer than a claim, until the new holder renews', () => {
    const table = tableOf(['a', 'b']);
    expect(leaveTable(table, 'a', 100, 1)).toBe(true);
    expect(holders(table)).toEqual(['b']);
    expect(Number(table.holders[0]?.deadlineMs)).toBe(100 + CLAIM_MS);
    expect(renewLease(table, 'b', 200)).toBe(true);
    expect(Number(table.holders[0]?.deadlineMs)).toBe(200 + TTL);
    expect(renewLease(table, 'a', 200)).toBe(false);
  });

  it('keeps a lease for the margin beyond its deadline, and not longer', () => {
    const table = tableOf(['a', 'b']);
    expect(settleTable(table, TTL + TAKEOVER_MARGIN_MS - 1, 1)).toBe(false);
    expect(settleTable(table, TTL + TAKEOVER_MARGIN_MS, 1)).toBe(true);
    expect(holders(table)).toEqual(['b']);
  });

  it('forgets a waiter that does not keep its place', () => {
    const table = tableOf(['a', 'gone', 'b']);
    renewLease(table, 'a', PLACE_MS);
    expect(keepPlaces(table, ['b'], PLACE_MS, 1)).toBe(true);
    renewLease(table, 'a', PLACE_MS + TAKEOVER_MARGIN_MS);
    settleTable(table, PLACE_MS + TAKEOVER_MARGIN_MS, 1);
    expect([holders(table), waiters(table)]).toEqual([['a'], ['b']]);
  });

  it('lets readers in together, but none past a writer', () => {
    const table = tableOf(['r1', 'r2', 'w', 'r3', 'r4'], Infinity);
    expect([holders(table), waiters(table)]).toEqual([
      ['r1', 'r2'],
      ['w', 'r3', 'r4'],
    ]);
    leaveTable(table, 'r1', 1, Infinity);
    leaveTable(table, 'r2', 1, Infinity);
    expect(holders(table)).toEqual(['w']);
    leaveTable(table, 'w', 1, Infinity);
    expect([holders(table), waiters(table)]).toEqual([['r3', 'r4'], []]);
  });

  it('never has more holders than may be, and serves in the order of coming, whatever happens', () => {
    const step = fc.record({
      action: fc.constantFrom('enter', 'leave', 'renew', 'keep', 'settle'),
      id: fc.nat({ max: 9 }),
      shared: fc.boolean(),
      after: fc.nat({ max: 4_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.constantFrom(1, 3, Infinity), (steps, capacity) => {
        const table = create(LeaseTableSchema);
        let now = 1_000_000;
        let line: string[] = [];
        for (const [index, { action, id, shared, after }] of steps.entries()) {
          now += after;
          const name = `${id}`;
          const held = new Set(holders(table));
          if (action === 'enter')
            enterTable(table, wish(`${name}-${index}`, shared && capacity > 1), true, now, capacity);
          const known = [...held, ...line].find((other) => other.startsWith(`${name}-`)) ?? name;
          if (action === 'leave') leaveTable(table, known, now, capacity);
          if (action === 'renew') renewLease(table, known, now);
          if (action === 'keep') keepPlaces(table, waiters(table), now, capacity);
          if (action === 'settle') settleTable(table, now, capacity);
          const exclusive = table.holders.filter((lease) => !lease.shared).length;
          expect(table.holders.length).toBeLessThanOrEqual(exclusive > 0 ? 1 : capacity);
          // Who still waits stands in the order of coming, and everybody served came before.
          const left = waiters(table);
          const served = line.filter((other) => holders(table).includes(other));
          const order = line.filter((other) => left.includes(other) || served.includes(other));
          expect(order.slice(0, served.length)).toEqual(served);
          line = left;
        }
      }),
    );
  });
});
