import { PLACE_MS, TAKEOVER_MARGIN_MS } from './lease-table.js';
import type { LeaseTable } from '../../codec/gen/flow/v1/lease_pb.js';

/** How much later each one in the line looks for an expired holder than the one before it: one of them is enough. */
const STAGGER_MS = 50;
/** The least time between two looks at a holder that should have expired, but for the clock has not. */
const SOONEST_MS = 10;

/** What {@link LineTimers} calls. */
export interface LineTimersParts {
  /** Milliseconds from now until the server's clock is at `timeMs`. */
  until(timeMs: number): number;
  /** The present holder may have expired. */
  onExpiry(): void;
  /** The places have to be kept. */
  onKeep(): void;
}

/** The timers of those of a process who wait for a key. */
export class LineTimers {
  private expiry: NodeJS.Timeout | undefined;
  private keeping: NodeJS.Timeout | undefined;

  constructor(private readonly parts: LineTimersParts) {}

  /** Looks when the first holder expires, if one of ours waits. */
  planExpiry({ holders, waiters }: LeaseTable, isOurs: (id: string) => boolean): void {
    clearTimeout(this.expiry);
    const rank = waiters.findIndex(({ id }) => isOurs(id));
    if (rank < 0) return;
    const first = Math.min(...holders.map(({ deadlineMs }) => Number(deadlineMs))) + TAKEOVER_MARGIN_MS;
    const inMs = Math.max(SOONEST_MS, Math.min(this.parts.until(first), PLACE_MS) + rank * STAGGER_MS);
    this.expiry = setTimeout(() => this.parts.onExpiry(), inMs).unref();
  }

  /** Keeps places now and then, from the first time this is called until {@link rest}. */
  keep(): void {
    this.keeping ??= setInterval(() => this.parts.onKeep(), PLACE_MS / 3).unref();
  }

  /** Nobody of ours waits. */
  rest(): void {
    clearInterval(this.keeping);
    clearTimeout(this.expiry);
    this.keeping = undefined;
  }
}
