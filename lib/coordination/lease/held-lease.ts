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
  leave(): Promise<void>;
  /** The same when its time is over, without anybody who waits for it. */
  leaveLater(): void;
  /** It is over, in one way or the other. Called once. */
  onEnd(outcome: 'released' | 'lost'): void;
}

/** Told that a lease is over; with why when it was lost. */
export type EndListener = (lostBy: LockLostError | undefined) => void;

/** After a renewal that failed, the next one follows after this at the latest. */
const RETRY_MS = 1_000;
/** A timer of Node that is longer fires at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** A lease in the hands of this process: renews itself, and knows when it is lost. */
export class HeldLease implements Lease {
  /** Made when somebody asks for the signal: most sections are over before. */
  private abort: AbortController | undefined;
  /** Of the renewal under way. */
  private renewal: AbortController | undefined;
  private validUntil: number;
  private renewAt: number;
  private readonly holdUntil: number;
  private warned = false;
  private ended = false;
  private lostBy: LockLostError | undefined;
  private endListener: EndListener | undefined;
  private releasing: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly parts: HeldLeaseParts) {
    const now = performance.now();
    this.validUntil = parts.validUntil;
    this.renewAt = now + this.left() / 3;
    this.holdUntil = now + (parts.limits.maxHold ?? Infinity);
    this.plan();
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
    this.abort ??= new AbortController();
    if (this.lostBy !== undefined) this.abort.abort(this.lostBy);
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

  /** Nobody took it: gives it back without anybody who waits for that. */
  forgo(): void {
    if (this.end('released')) this.parts.leaveLater();
  }

  /** It is not ours any more, or is not to be. */
  lose(reason: string): void {
    this.endBy('lost', reason);
  }

  /** Its holder is to do nothing under it any more, and gives it back when that is so. */
  forfeit(reason: string): void {
    this.endBy('released', reason);
  }

  /** Has `listener` told when it is over, at once if it is. One is told. */
  onEnd(listener: EndListener): void {
    this.endListener = listener;
    if (this.ended) listener(this.lostBy);
  }

  /** @throws LockLostError when it is lost. */
  assertHeld(): void {
    if (!this.isHeld() && this.lostBy !== undefined) throw this.lostBy;
  }

  private async giveBack(): Promise<void> {
    this.isHeld();
    this.end('released');
    const left = this.left();
    // It may still be in the table, and others wait; but nobody has to wait for that.
    if (left <= 0) {
      this.parts.leaveLater();
      return;
    }
    const leaving = this.parts.leave();
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(this.lostError('it expired before the server took it back')), left);
    });
    try {
      await Promise.race([leaving, expired]);
    } finally {
      clearTimeout(timer);
    }
  }

  private endBy(outcome: 'released' | 'lost', reason: string): void {
    const error = this.lostError(reason);
    if (!this.end(outcome, outcome === 'lost' ? error : undefined)) return;
    this.lostBy = error;
    this.abort?.abort(error);
  }

  private end(outcome: 'released' | 'lost', lostBy?: LockLostError): boolean {
    if (this.ended) return false;
    this.ended = true;
    clearTimeout(this.timer);
    this.renewal?.abort();
    this.parts.onEnd(outcome);
    this.endListener?.(lostBy);
    return true;
  }

  private left(): number {
    return this.validUntil - performance.now();
  }

  private isHeld(): boolean {
    if (!this.ended && this.left() <= 0) this.lose('it could not be renewed before its end');
    return !this.ended;
  }

  /** One timer for whatever comes next: most leases are given back before, and never need a second one. */
  private plan(): void {
    const next = Math.min(this.renewAt, this.validUntil, this.warned ? Infinity : this.holdUntil);
    this.timer = setTimeout(() => this.wake(), Math.min(next - performance.now(), LONGEST_TIMER_MS)).unref();
  }

  private wake(): void {
    if (!this.isHeld()) return;
    const now = performance.now();
    if (now >= this.holdUntil && !this.warned) this.heldTooLong();
    if (this.ended) return;
    if (now >= this.renewAt) {
      this.renewAt = Infinity;
      void this.renew();
    }
    this.plan();
  }

  private async renew(): Promise<void> {
    const { what, log } = this.parts;
    this.renewal = new AbortController();
    try {
      const validUntil = await this.parts.renew(this.renewal.signal);
      if (!this.isHeld()) return;
      if (validUntil === undefined) {
        this.lose('it has expired, and was taken out');
        return;
      }
      this.validUntil = validUntil;
      this.renewAt = performance.now() + this.left() / 3;
    } catch (error) {
      if (!this.isHeld()) return;
      log.debug(`The lease of ${what} could not be renewed yet: ${describeThrown(error)}`);
      this.renewAt = performance.now() + Math.min(RETRY_MS, this.left() / 3);
    }
    this.renewal = undefined;
    clearTimeout(this.timer);
    this.plan();
  }

  private heldTooLong(): void {
    const { what, limits, log } = this.parts;
    this.warned = true;
    log.warn(`The lease of ${what} is held for more than ${limits.maxHold} ms.`);
    if (limits.onMaxHold === 'end') this.lose(`it was held for more than ${limits.maxHold} ms`);
  }

  private lostError(reason: string): LockLostError {
    return new LockLostError(this.parts.what, this.parts.token, reason);
  }
}
