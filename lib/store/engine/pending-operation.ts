import { onAbort } from '../../common/abort-listeners.js';
import { CancelledError, OperationTimeoutError, OutcomeUnknownError } from '../../common/errors.js';
import type { ChangeFunction } from './change.js';

/** What the caller of an operation asked for. */
export interface OperationRequest<State, Answer = unknown> {
  /** For errors: `update`. */
  readonly name: string;
  readonly key: string;
  readonly bucket: string;
  readonly change: ChangeFunction<State>;
  /** The change does not look at the state: it works also on bytes that do not decode. */
  readonly blind: boolean;
  /** Hash of the idempotency key. */
  readonly hash: Buffer | undefined;
  /** Milliseconds that the entry lives after this write; `undefined`: as long as the bucket keeps it. */
  readonly ttlMs?: number | undefined;
  readonly maxAttempts: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** What the caller gets. */
  readonly answer: (result: OperationResult<State>) => Answer;
}

/** How an operation ended well. */
export interface OperationResult<State> {
  /** The caller's own copy of the state after the operation; `undefined` when there is no entry. */
  readonly state: State | undefined;
  /** Whether an entry existed before it. */
  readonly existed: boolean;
  /** Its idempotency key had been applied before; nothing was done. */
  readonly duplicate: boolean;
  /**
   * Of the write that committed it; of what was read, when nothing had to be written. Filled in at the end; `undefined`
   * when the reply to the write was lost, and only what is stored tells that it was applied.
   */
  revision?: number | undefined;
}

/**
 * One caller's operation on its way through the queue of its key. It is settled once: by the commit that holds it,
 * by its signal, or by its timeout.
 */
export class PendingOperation<State, Answer = unknown> {
  readonly promise: Promise<Answer>;
  /** Performance clock, milliseconds. */
  readonly deadline: number;
  /** Conflicts it went through. */
  conflicts = 0;
  /** Its write is on the way or was, and the outcome is not known. */
  sent = false;
  settled = false;
  private unlisten: (() => void) | undefined;
  private resolvePromise!: (answer: unknown) => void;
  private rejectPromise!: (error: unknown) => void;

  constructor(
    readonly request: OperationRequest<State, Answer>,
    private readonly onSettled: () => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolvePromise = resolve as (answer: unknown) => void;
      this.rejectPromise = reject;
    });
    this.deadline = performance.now() + request.timeoutMs;
    const { signal } = request;
    if (signal !== undefined) this.unlisten = onAbort(signal, () => this.cancel(signal));
  }

  /** When it was asked for, by the performance clock. */
  get askedAt(): number {
    return this.deadline - this.request.timeoutMs;
  }

  /** For errors: `update of "SFO" in bucket "airport_delays"`. */
  get what(): string {
    const { name, key, bucket } = this.request;
    return `${name} of "${key}" in bucket "${bucket}"`;
  }

  resolve(result: OperationResult<State>): void {
    if (!this.settle()) return;
    try {
      this.resolvePromise(this.request.answer(result));
    } catch (error) {
      this.rejectPromise(error);
    }
  }

  reject(error: unknown): void {
    if (this.settle()) this.rejectPromise(error);
  }

  /** Gives up when the time is over. */
  expire(now: number): void {
    if (this.settled || now < this.deadline) return;
    const { timeoutMs } = this.request;
    if (this.sent)
      this.reject(new OutcomeUnknownError(capitalize(this.what), `the server did not answer within ${timeoutMs} ms`));
    else this.reject(new OperationTimeoutError(this.what, timeoutMs));
  }

  private cancel({ reason }: AbortSignal): void {
    const where = this.sent ? `${this.what}, already sent and perhaps applied,` : this.what;
    this.reject(new CancelledError(where, { cause: reason }));
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.unlisten?.();
    this.onSettled();
    return true;
  }
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
