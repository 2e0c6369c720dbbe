import { CancelledError, OperationTimeoutError, OutcomeUnknownError } from '../../common/errors.js';
import type { ChangeFunction } from './change.js';

/** What the caller of an operation asked for. */
export interface OperationRequest<State> {
  /** For errors: `update of "SFO" in bucket "airport_delays"`. */
  readonly what: string;
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
export class PendingOperation<State> {
  readonly promise: Promise<OperationResult<State>>;
  /** Performance clock, milliseconds. */
  readonly deadline: number;
  /** Conflicts it went through. */
  conflicts = 0;
  /** Its write is on the way or was, and the outcome is not known. */
  sent = false;
  settled = false;
  private cancel: (() => void) | undefined;
  private resolvePromise!: (result: OperationResult<State>) => void;
  private rejectPromise!: (error: unknown) => void;

  constructor(
    readonly request: OperationRequest<State>,
    private readonly onSettled: () => void,
  ) {
    this.promise = new Promise((resolve, reject) => {
      this.resolvePromise = resolve;
      this.rejectPromise = reject;
    });
    this.deadline = performance.now() + request.timeoutMs;
    const { signal } = request;
    if (signal === undefined) return;
    this.cancel = () => {
      const { what } = request;
      const where = this.sent ? `${what}, already sent and perhaps applied,` : what;
      this.reject(new CancelledError(where, { cause: signal.reason }));
    };
    if (signal.aborted) this.cancel();
    else signal.addEventListener('abort', this.cancel, { once: true });
  }

  resolve(result: OperationResult<State>): void {
    if (this.settle()) this.resolvePromise(result);
  }

  reject(error: unknown): void {
    if (this.settle()) this.rejectPromise(error);
  }

  /** Gives up when the time is over. */
  expire(now: number): void {
    if (this.settled || now < this.deadline) return;
    const { what, timeoutMs } = this.request;
    if (this.sent)
      this.reject(new OutcomeUnknownError(capitalize(what), `the server did not answer within ${timeoutMs} ms`));
    else this.reject(new OperationTimeoutError(what, timeoutMs));
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    if (this.cancel !== undefined) this.request.signal?.removeEventListener('abort', this.cancel);
    this.onSettled();
    return true;
  }
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
