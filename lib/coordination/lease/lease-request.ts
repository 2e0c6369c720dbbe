import { onAbort } from '../../common/abort-listeners.js';
import { CancelledError, ConnectionError, OperationTimeoutError, OutcomeUnknownError } from '../../common/errors.js';
import { LockTimeoutError } from '../../common/lock-errors.js';
import type { HeldLease } from './held-lease.js';
import type { LeaseIds } from './lease-id.js';
import type { LeaseWish } from './lease-table.js';

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

/** What the requests of one primitive share. */
export interface LeaseRequestParts {
  readonly ids: LeaseIds;
  /** Of this process, for people who look at the table. */
  readonly owner: string;
  readonly connection: { readonly status: string };
}

/** Where a request stands. */
export interface LeaseRequestPlace {
  /** This process holds a lease of the key. */
  readonly isHeld: boolean;
  /** The caller's signal or time has ended the wait. */
  onGivenUp(request: LeaseRequest): void;
}

/** One caller that waits for a lease, until it has it or gives up. */
export class LeaseRequest {
  /** `undefined`: it was asked for once, and is not free. */
  readonly promise: Promise<HeldLease | undefined>;
  /** Of the lease it asks for; a new one when that has expired before it was taken. */
  id: string;
  /** Revision at which it stood in the stored line; `undefined` while it is not known to. */
  placedAt: number | undefined;
  /** The server was asked for it. */
  entering = false;
  settled = false;
  private resolvePromise!: (lease: HeldLease | undefined) => void;
  private rejectPromise!: (error: unknown) => void;
  private timer: NodeJS.Timeout | undefined;
  private unlisten: (() => void) | undefined;

  constructor(
    readonly options: LeaseRequestOptions,
    private readonly parts: LeaseRequestParts,
    private readonly place: LeaseRequestPlace,
  ) {
    this.id = parts.ids.next();
    this.promise = new Promise((resolve, reject) => {
      this.resolvePromise = resolve;
      this.rejectPromise = reject;
    });
    const { waitMs, signal } = options;
    if (signal !== undefined) this.unlisten = onAbort(signal, () => this.cancel(signal));
    if (waitMs !== undefined && !this.settled)
      this.timer = setTimeout(() => this.giveUp(this.lateError(waitMs)), Math.min(waitMs, LONGEST_TIMER_MS));
  }

  get wish(): LeaseWish {
    const { shared, ttlMs } = this.options;
    return { id: this.id, shared, ttlMs, owner: this.parts.owner };
  }

  /** Begins anew, as another lease. */
  renew(): void {
    this.id = this.parts.ids.next();
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

  /** Rejects with what the server's silence or refusal means to who waits. */
  fail(error: unknown): void {
    const silent = error instanceof OperationTimeoutError || error instanceof OutcomeUnknownError;
    const { what } = this.options;
    this.reject(silent ? new ConnectionError(`${what}: the server did not answer.`, { cause: error }) : error);
  }

  private lateError(waitMs: number): Error {
    const { what } = this.options;
    const unanswered = this.entering && this.placedAt === undefined;
    const late = new LockTimeoutError(capitalize(what), waitMs, { unanswered, heldHere: this.place.isHeld });
    const { status } = this.parts.connection;
    if (status === 'connected') return late;
    return new ConnectionError(
      `${what}: the server could not be reached within ${waitMs} ms; the connection is ${status}.`,
      { cause: late },
    );
  }

  private cancel({ reason }: AbortSignal): void {
    this.giveUp(new CancelledError(`Waiting for ${this.options.what}`, { cause: reason }));
  }

  private giveUp(error: Error): void {
    if (this.settled) return;
    this.reject(error);
    this.place.onGivenUp(this);
  }

  private settle(): void {
    this.settled = true;
    clearTimeout(this.timer);
    this.unlisten?.();
  }
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
