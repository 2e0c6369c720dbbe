import { CancelledError } from '../../common/errors.js';
import { LockTimeoutError } from '../../common/lock-errors.js';
import type { HeldLease } from './held-lease.js';
import type { LeaseIds } from './lease-id.js';

/** A timer of Node that is longer fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** What a caller asked for. */
export interface LeaseRequestOptions {
  /** For errors: `Mutex "orders", key "17"`. */
  readonly what: string;
  readonly shared: boolean;
  readonly ttlMs: number;
  /** `undefined`: without end. */
  readonly waitMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** One caller that waits for a lease, until it has it or gives up. */
export class LeaseRequest {
  /** `undefined`: it was asked for once, and is not free. */
  readonly promise: Promise<HeldLease | undefined>;
  /** Of the lease it asks for; a new one when that has expired before it was taken. */
  id: string;
  /** Revision at which it stood in the stored line; `undefined` while it is not known to. */
  placedAt: number | undefined;
  /** Performance clock. */
  readonly since = performance.now();
  settled = false;
  private resolvePromise!: (lease: HeldLease | undefined) => void;
  private rejectPromise!: (error: unknown) => void;
  private timer: NodeJS.Timeout | undefined;
  private onAbort: (() => void) | undefined;

  /** @param onGivenUp called when the caller's signal or time ends the wait */
  constructor(
    readonly options: LeaseRequestOptions,
    private readonly ids: LeaseIds,
    private readonly onGivenUp: (request: LeaseRequest) => void,
  ) {
    this.id = ids.next();
    this.promise = new Promise((resolve, reject) => {
      this.resolvePromise = resolve;
      this.rejectPromise = reject;
    });
    const { what, waitMs, signal } = options;
    if (signal !== undefined) {
      this.onAbort = () => this.giveUp(new CancelledError(`Waiting for ${what}`, { cause: signal.reason }));
      if (signal.aborted) this.onAbort();
      else signal.addEventListener('abort', this.onAbort, { once: true });
    }
    if (waitMs !== undefined && !this.settled) {
      this.timer = setTimeout(
        () => this.giveUp(new LockTimeoutError(capitalize(what), waitMs)),
        Math.min(waitMs, LONGEST_TIMER_MS),
      );
    }
  }

  /** Begins anew, as another lease. */
  renew(): void {
    this.id = this.ids.next();
    this.placedAt = undefined;
  }

  resolve(lease: HeldLease | undefined): void {
    // Who has given up in the last moment does not want it any more.
    if (this.settled) return lease?.forgo();
    this.settle();
    this.resolvePromise(lease);
  }

  reject(error: unknown): void {
    if (this.settled) return;
    this.settle();
    this.rejectPromise(error);
  }

  private giveUp(error: Error): void {
    if (this.settled) return;
    this.reject(error);
    this.onGivenUp(this);
  }

  private settle(): void {
    this.settled = true;
    clearTimeout(this.timer);
    if (this.onAbort !== undefined) this.options.signal?.removeEventListener('abort', this.onAbort);
  }
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
