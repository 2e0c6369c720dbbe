import type { Delivery } from '../../stream/delivery.js';

const LONGEST_TICK_MS = 100;
/** Extensions within an `ack_wait`, at least: two may be lost, or come late. */
const EXTENSIONS = 3;

/** A message held by this process: it is not redelivered while the lease lasts. */
export interface Lease {
  readonly delivery: Delivery;
  extendedAtMs: number;
  /** When {@link onDeadline} is called, by `performance.now()`: no change of the clock may end a lease. `Infinity` while no handler runs. */
  deadlineMs: number;
  onDeadline: () => void;
}

/**
 * Keeps the messages that a step holds from being redelivered, and watches their handlers' deadlines: one
 * coarse timer per step instead of two timers per message. Deadlines are met within 100 ms.
 */
export class LeaseKeeper {
  private readonly leases = new Set<Lease>();
  private readonly tickMs: number;
  private readonly extendAfterMs: number;
  private timer: NodeJS.Timeout | undefined;

  /** @param ackWaitMs the consumer's `ack_wait`; leases are extended at least three times within it. */
  constructor(ackWaitMs: number) {
    const everyMs = ackWaitMs / EXTENSIONS;
    this.tickMs = Math.min(LONGEST_TICK_MS, everyMs / 2);
    // What is not extended at one tick waits for the next, which must not be too late.
    this.extendAfterMs = everyMs - this.tickMs;
  }

  hold(delivery: Delivery): Lease {
    const lease: Lease = { delivery, extendedAtMs: performance.now(), deadlineMs: Infinity, onDeadline: nothing };
    this.leases.add(lease);
    this.timer ??= setInterval(() => this.tick(), this.tickMs).unref();
    return lease;
  }

  drop(lease: Lease): void {
    this.leases.delete(lease);
  }

  /** Hands all back that is still held. */
  handBack(): void {
    for (const { delivery } of this.leases) delivery.nak(0);
  }

  /** Ends the timer; leases still held run out after `ack_wait`. */
  close(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.leases.clear();
  }

  private tick(): void {
    const now = performance.now();
    for (const lease of this.leases) {
      if (now >= lease.deadlineMs) {
        lease.deadlineMs = Infinity;
        lease.onDeadline();
      } else if (now - lease.extendedAtMs >= this.extendAfterMs && !lease.delivery.settled) {
        lease.extendedAtMs = now;
        lease.delivery.extend();
      }
    }
  }
}

function nothing(): void {
  // No handler runs, so there is no deadline to miss.
}
