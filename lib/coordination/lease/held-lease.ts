import type { Log } from '../../common/log.js';
import { LockLostError } from '../../common/lock-errors.js';
import { describeThrown } from '../../common/describe-thrown.js';
import type { Lease } from './lease.js';
import type { ResolvedLease } from './lease.options.js';

/** What a lease works with. */
export interface HeldLeaseParts {
  readonly key: string;
  /** For errors and the log: `mutex "orders", key "17"`. */
  readonly what: string;
  readonly id: string;
  readonly token: number;
  readonly ttlMs: number;
  /** Performance clock: until when it certainly is ours. */
  readonly validUntil: number;
  readonly limits: Pick<ResolvedLease, 'maxHold' | 'onMaxHold'>;
  readonly log: Log;
  /** Extends it. @returns until when it is valid then; `undefined` when it is not held any more. */
  renew(signal: AbortSignal): Promise<number | undefined>;
  /** Gives it back; what is under way comes first. */
  leave(signal: AbortSignal): Promise<void>;
  /** It is over, in one way or the other. Called once. */
  onEnd(outcome: 'released' | 'lost'): void;
}

/** After a renewal that failed, the next one follows after this at the latest. */
const RETRY_MS = 1_000;
/** A timer of Node that is longer fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** A lease in the hands of this process: renews itself, and knows when it is lost. */
export class HeldLease implements Lease {
  private readonly abort = new AbortController();
  /** Ends requests about it when its time is over. */
  private readonly over = new AbortController();
  private validUntil: number;
  private ended = false;
  private releasing: Promise<void> | undefined;
  private renewalTimer: NodeJS.Timeout | undefined;
  private expiryTimer: NodeJS.Timeout | undefined;
  private readonly holdTimer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: HeldLeaseParts) {
    this.validUntil = parts.validUntil;
    const { maxHold } = parts.limits;
    if (maxHold !== undefined)
      this.holdTimer = setTimeout(() => this.heldTooLong(maxHold), Math.min(maxHold, LONGEST_TIMER_MS)).unref();
    this.plan(this.left() / 3);
    this.planExpiry();
  }

  get key(): string {
    return this.parts.key;
  }

  get id(): string {
    return this.parts.id;
  }

  get fencingToken(): number {
    return this.parts.token;
  }

  get signal(): AbortSignal {
    this.isHeld();
    return this.abort.signal;
  }

  fence(latest: number | undefined): number {
    const { token } = this.parts;
    if (latest === undefined || latest <= token) return token;
    throw this.lostError(`the lease with token ${latest} has written since`);
  }

  release(): Promise<void> {
    return (this.releasing ??= this.giveBack());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** It is not ours any more, or is not to be. */
  lose(reason: string): void {
    if (!this.end('lost')) return;
    this.abort.abort(this.lostError(reason));
  }

  private async giveBack(): Promise<void> {
    this.end('released');
    // When it is lost, too: it may still be in the table, and others wait. Takes out this lease and no other one.
    await this.parts.leave(this.over.signal);
    clearTimeout(this.expiryTimer);
    this.over.abort();
  }

  private end(outcome: 'released' | 'lost'): boolean {
    if (this.ended) return false;
    this.ended = true;
    clearTimeout(this.renewalTimer);
    clearTimeout(this.holdTimer);
    this.parts.onEnd(outcome);
    return true;
  }

  private left(): number {
    return this.validUntil - performance.now();
  }

  private isHeld(): boolean {
    if (!this.ended && this.left() <= 0) this.lose('it could not be renewed before its end');
    return !this.ended;
  }

  private planExpiry(): void {
    clearTimeout(this.expiryTimer);
    this.expiryTimer = setTimeout(() => {
      // Timers may come a little early.
      if (this.left() > 0) return this.planExpiry();
      this.isHeld();
      this.over.abort();
    }, this.left()).unref();
  }

  private plan(inMs: number): void {
    this.renewalTimer = setTimeout(() => void this.renew(), inMs).unref();
  }

  private async renew(): Promise<void> {
    if (!this.isHeld()) return;
    try {
      const validUntil = await this.parts.renew(this.over.signal);
      if (!this.isHeld()) return;
      if (validUntil === undefined) {
        this.lose('it has expired, and was taken out');
        return;
      }
      this.validUntil = validUntil;
      this.planExpiry();
      this.plan(this.left() / 3);
    } catch (error) {
      if (!this.isHeld()) return;
      const { what, log } = this.parts;
      log.debug(`The lease of ${what} could not be renewed yet: ${describeThrown(error)}`);
      this.plan(Math.min(RETRY_MS, this.left() / 3));
    }
  }

  private heldTooLong(maxHold: number): void {
    const { what, limits, log } = this.parts;
    log.warn(`The lease of ${what} is held for more than ${maxHold} ms.`);
    if (limits.onMaxHold === 'end') this.lose(`it was held for more than ${maxHold} ms`);
  }

  private lostError(reason: string): LockLostError {
    return new LockLostError(this.parts.what, this.parts.token, reason);
  }
}
