import { create } from '@bufbuild/protobuf';
import { LeaseSchema, type Lease as LeaseRecord, type LeaseTable } from '../../codec/gen/flow/v1/lease_pb.js';

/**
 * The rules by which leases of one key are given, as changes of its stored table. Pure: the time is handed in, in
 * milliseconds of the server's clock.
 */

/**
 * How long after its deadline a lease may be given to others. Covers what the clocks of two processes differ by; its holder
 * takes it for lost at the deadline.
 */
export const TAKEOVER_MARGIN_MS = 500;

/** How long a waiter keeps its place in the line without a sign of life. */
export const PLACE_MS = 30_000;

/**
 * Longest lease that a waiter is given by others: they cannot know whether it still lives. It renews it when it does, for
 * as long as it asked for.
 */
export const CLAIM_MS = 5_000;

/** Who asks for a lease, and how. */
export interface LeaseWish {
  readonly id: string;
  readonly shared: boolean;
  readonly ttlMs: number;
  readonly owner: string;
}

/** Whether a lease may be given beside those that are held. At most `capacity` shared ones may be at a time. */
function admits(holders: readonly LeaseRecord[], shared: boolean, capacity: number): boolean {
  if (holders.length === 0) return true;
  return shared && holders.length < capacity && holders.every((holder) => holder.shared);
}

/** The lease of `id`, if it is in the list. */
export function findLease(leases: readonly LeaseRecord[], id: string): LeaseRecord | undefined {
  return leases.find((lease) => lease.id === id);
}

/** Whether nobody holds or waits. */
export function isEmptyTable({ holders, waiters }: LeaseTable): boolean {
  return holders.length === 0 && waiters.length === 0;
}

/**
 * Takes out who has expired, and gives leases to those whose turn it is, in the order of the line: nobody overtakes. So a
 * writer that waits is passed by no reader, and readers in a row get theirs together.
 *
 * @returns whether anything changed.
 */
export function settleTable(table: LeaseTable, now: number, capacity: number): boolean {
  const lives = (lease: LeaseRecord): boolean => Number(lease.deadlineMs) + TAKEOVER_MARGIN_MS > now;
  const before = table.holders.length + table.waiters.length;
  table.holders = table.holders.filter(lives);
  table.waiters = table.waiters.filter(lives);
  let changed = table.holders.length + table.waiters.length < before;
  for (;;) {
    const [first] = table.waiters;
    if (first === undefined || !admits(table.holders, first.shared, capacity)) return changed;
    table.waiters.shift();
    first.deadlineMs = after(now, Math.min(first.ttlMs, CLAIM_MS));
    table.holders.push(first);
    changed = true;
  }
}

/**
 * Gives the lease at once when it is free and nobody waits; else puts it at the end of the line, if it is to `queue`. Nothing
 * is added when it is there already.
 *
 * @returns whether anything changed.
 */
export function enterTable(table: LeaseTable, wish: LeaseWish, queue: boolean, now: number, capacity: number): boolean {
  const changed = settleTable(table, now, capacity);
  const { id, shared, ttlMs, owner } = wish;
  if (findLease(table.holders, id) ?? findLease(table.waiters, id)) return changed;
  const lease = { id, shared, ttlMs, owner };
  if (table.waiters.length === 0 && admits(table.holders, shared, capacity)) {
    table.holders.push(create(LeaseSchema, { ...lease, deadlineMs: after(now, ttlMs) }));
    return true;
  }
  if (!queue) return changed;
  table.waiters.push(create(LeaseSchema, { ...lease, deadlineMs: after(now, PLACE_MS) }));
  return true;
}

/** Extends a lease that is still held. @returns whether it is. */
export function renewLease(table: LeaseTable, id: string, now: number): boolean {
  const lease = findLease(table.holders, id);
  if (lease === undefined) return false;
  lease.deadlineMs = after(now, lease.ttlMs);
  return true;
}

/** Keeps the places of waiters. @returns whether anything changed. */
export function keepPlaces(table: LeaseTable, ids: readonly string[], now: number, capacity: number): boolean {
  const mine = table.waiters.filter((waiter) => ids.includes(waiter.id));
  for (const waiter of mine) waiter.deadlineMs = after(now, PLACE_MS);
  return settleTable(table, now, capacity) || mine.length > 0;
}

/** Takes a holder or waiter out, and serves those who come next. @returns whether anything changed. */
export function leaveTable(table: LeaseTable, id: string, now: number, capacity: number): boolean {
  const others = (lease: LeaseRecord): boolean => lease.id !== id;
  const before = table.holders.length + table.waiters.length;
  table.holders = table.holders.filter(others);
  table.waiters = table.waiters.filter(others);
  const left = table.holders.length + table.waiters.length < before;
  return settleTable(table, now, capacity) || left;
}

function after(now: number, ms: number): bigint {
  return BigInt(Math.floor(now + ms));
}
