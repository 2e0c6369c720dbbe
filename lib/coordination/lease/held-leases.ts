import type { Lease as LeaseRecord, LeaseTable } from '../../codec/gen/flow/v1/lease_pb.js';
import type { LockMeter } from '../../telemetry/metrics.js';
import { HeldLease, type HeldLeaseParts } from './held-lease.js';
import type { LeaseRequest } from './lease-request.js';
import type { LeasedKey, LeaseStore } from './lease-store.js';
import { CLAIM_MS, findLease } from './lease-table.js';

/** What the leases of a key work with. */
export interface HeldLeasesParts extends Pick<HeldLeaseParts, 'limits' | 'log'> {
  readonly of: LeasedKey;
  readonly store: LeaseStore;
  readonly meter: LockMeter;
  renew(id: string, ttlMs: number, signal: AbortSignal): Promise<number | undefined>;
  leave(id: string): Promise<void>;
  leaveLater(id: string): void;
  /** One of them is over. */
  onEnd(): void;
}

/** How a lease was given. */
export interface Grant {
  /** As it is in the table. */
  readonly record: LeaseRecord;
  /** At which it was seen there. */
  readonly revision: number;
  /** Performance clock: when the write of its own that gave it was sent; `undefined`: another's did. */
  readonly appliedAt?: number | undefined;
}

/** The leases of one key that this process holds. */
export class HeldLeases {
  private readonly held = new Map<string, HeldLease>();

  constructor(private readonly parts: HeldLeasesParts) {}

  get size(): number {
    return this.held.size;
  }

  /** Takes what was given to a request. @returns `undefined` when it has expired by now. */
  take({ id, options: { ttlMs } }: LeaseRequest, grant: Grant): HeldLease | undefined {
    const { meter, of, limits, log } = this.parts;
    const validUntil = this.validUntil(grant, ttlMs);
    const now = performance.now();
    if (validUntil <= now) return undefined;
    const lease = new HeldLease({
      key: of.key,
      what: of.what,
      id,
      token: grant.revision,
      ttlMs,
      validUntil,
      limits,
      log,
      renew: (signal) => this.parts.renew(id, ttlMs, signal),
      leave: () => this.parts.leave(id),
      leaveLater: () => this.parts.leaveLater(id),
      onEnd: (outcome) => {
        meter.held(performance.now() - now, outcome);
        this.held.delete(id);
        this.parts.onEnd();
      },
    });
    this.held.set(id, lease);
    return lease;
  }

  /** Ends those that a table of later does not have any more. */
  compare({ holders }: LeaseTable, revision: number): void {
    for (const lease of [...this.held.values()]) {
      if (revision > lease.fencingToken && findLease(holders, lease.id) === undefined)
        lease.lose('it has expired, and was taken out');
    }
  }

  /** All are lost, and given back. */
  close(): Promise<void>[] {
    return [...this.held.values()].map((lease) => {
      lease.lose('it was closed');
      return lease.release();
    });
  }

  private validUntil({ record, appliedAt }: Grant, ttlMs: number): number {
    // The server's clock may have been measured anew since; in no case is it ours for longer than it was asked for.
    const longest = appliedAt === undefined ? performance.now() + Math.min(ttlMs, CLAIM_MS) : appliedAt + ttlMs;
    return Math.min(this.parts.store.validUntil(Number(record.deadlineMs)), longest);
  }
}
