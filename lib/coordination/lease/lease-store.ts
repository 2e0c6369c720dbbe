import { create } from '@bufbuild/protobuf';
import { LeaseTableSchema, type LeaseTable } from '../../codec/gen/flow/v1/lease_pb.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { ObjectStore } from '../../store/engine/object-store.js';
import type { StoreKey } from '../../store/engine/store-key.js';
import type { WatchEvent } from '../../store/engine/store-entry.js';
import {
  enterTable,
  isEmptyTable,
  keepPlaces,
  leaveTable,
  renewLease,
  settleTable,
  type LeaseWish,
} from './lease-table.js';

/** The server's clock, which all processes time leases by; `ServerClock` is one. */
export interface LeaseClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** How far `now` may be off, in milliseconds. */
  readonly errorMs: number;
}

/** What leases are kept in and timed by. */
export interface LeaseRoom {
  readonly store: ObjectStore<LeaseTables>;
  readonly clock: LeaseClock;
}

/** Leases as state objects: one table per key. */
export class LeaseTables implements KvReducer<LeaseTable, never, string> {
  key(key: string): string {
    return key;
  }
  empty(): LeaseTable {
    return create(LeaseTableSchema);
  }
  apply(_table: LeaseTable, _input: never): void {
    // Changed by functions only.
  }
}

/** What leases are of. */
export interface LeasedKey {
  readonly key: string;
  /** Where its table is. */
  readonly stored: StoreKey;
  /** For errors and the log. */
  readonly what: string;
}

/** The table of a key as it was at a revision. */
export interface SeenTable {
  readonly table: LeaseTable;
  /** 0 when there is no entry. */
  readonly revision: number;
}

/** The outcome of an operation that gives or extends a lease. */
export interface Granted extends SeenTable {
  /** Performance clock: before the write that says so was sent. A lease is not valid for longer than its time from here. */
  readonly appliedAt: number;
}

/** The tables of one primitive, changed by compare-and-set; each operation tells what the table was after it. */
export class LeaseStore {
  private opened: LeaseRoom | undefined;

  /**
   * @param open called when something is to be done for the first time; again after it has failed
   * @param capacity shared leases of a key that may be held at a time
   */
  constructor(
    private readonly open: () => Promise<LeaseRoom>,
    private readonly capacity: number,
  ) {}

  /** Makes sure that there is something to keep leases in. */
  async ready(): Promise<LeaseRoom> {
    return (this.opened ??= await this.open());
  }

  /** Performance clock: until when a lease with this deadline certainly is nobody else's. */
  validUntil(deadlineMs: number): number {
    if (this.opened === undefined) return 0;
    const { clock } = this.opened;
    return performance.now() + deadlineMs - clock.now() - clock.errorMs;
  }

  /** Milliseconds from now until the server's clock certainly is at `timeMs`. */
  until(timeMs: number): number {
    return this.opened === undefined ? 0 : timeMs - earliest(this.opened.clock);
  }

  /** Asks for a lease; see {@link enterTable}. */
  async enter(key: StoreKey, wish: LeaseWish, queue: boolean): Promise<Granted> {
    let appliedAt = 0;
    const seen = await this.change(key, (table, now) => {
      appliedAt = performance.now();
      return enterTable(table, wish, queue, now, this.capacity);
    });
    return { ...seen, appliedAt };
  }

  /** Extends a lease. @returns whether it was still held. */
  async renew(key: StoreKey, id: string, signal: AbortSignal): Promise<Granted & { readonly held: boolean }> {
    let appliedAt = 0;
    let held = false;
    const extend = (table: LeaseTable, now: number): boolean => {
      appliedAt = performance.now();
      return (held = renewLease(table, id, now));
    };
    const seen = await this.change(key, extend, signal);
    return { ...seen, appliedAt, held };
  }

  /** Gives a lease, or a place in the line, back. */
  leave(key: StoreKey, id: string): Promise<SeenTable> {
    return this.change(key, (table, now) => leaveTable(table, id, now, this.capacity));
  }

  /** Tells that those who wait still do. */
  keepPlaces(key: StoreKey, ids: readonly string[]): Promise<SeenTable> {
    return this.change(key, (table, now) => keepPlaces(table, ids, now, this.capacity));
  }

  /** Takes out who has expired. */
  settle(key: StoreKey): Promise<SeenTable> {
    return this.change(key, (table, now) => settleTable(table, now, this.capacity));
  }

  /** Every change of the table from now on, the present one first. Ends without an error when `signal` aborts. */
  async *follow(key: StoreKey, signal: AbortSignal): AsyncGenerator<SeenTable, void, undefined> {
    const { store } = await this.ready();
    for await (const event of store.watch(key, { signal })) {
      const seen = toSeen(event);
      if (seen !== undefined) yield seen;
    }
  }

  private async change(
    key: StoreKey,
    mutate: (table: LeaseTable, now: number) => boolean,
    signal?: AbortSignal,
  ): Promise<SeenTable> {
    const { store, clock } = this.opened ?? (await this.ready());
    const options = signal === undefined ? {} : { signal };
    const { state, revision } = await store.write('modify', key, options, (before) => {
      const table = before ?? create(LeaseTableSchema);
      if (!mutate(table, earliest(clock))) return { kind: 'keep' };
      return isEmptyTable(table) ? { kind: 'remove', purge: false } : { kind: 'write', state: table };
    });
    if (revision !== undefined) return { table: state ?? create(LeaseTableSchema), revision };
    // The reply was lost. The lease is there, but a token has to be a revision at which it was.
    const entry = await store.readEntry(key, options);
    return { table: entry?.state ?? create(LeaseTableSchema), revision: entry?.revision ?? 0 };
  }
}

/** What the server's clock is at least: nobody's lease is ended too early, whatever the error. */
function earliest(clock: LeaseClock): number {
  return clock.now() - clock.errorMs;
}

function toSeen(event: WatchEvent<LeaseTable>): SeenTable | undefined {
  switch (event.type) {
    case 'value':
      return { table: event.state, revision: event.revision };
    case 'deleted':
      return { table: create(LeaseTableSchema), revision: event.revision };
    case 'undecodable':
      throw event.error;
    case 'caught-up':
      return undefined;
  }
}
