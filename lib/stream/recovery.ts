const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/** What a {@link Recovery} repeats. */
export interface RecoveryOptions {
  /** Whether there is still a reason to try; asked before every attempt. */
  wanted(): boolean;
  /**
   * One attempt; rejects to be tried again. It does nothing more once `signal` is aborted: another attempt may
   * be under way.
   */
  attempt(signal: AbortSignal): Promise<void>;
  /** An attempt failed; another follows. */
  onFailure(error: unknown): void;
  /** The loop is over: an attempt succeeded, or none is wanted any more. */
  onEnd(): void;
}

/**
 * Tries until it succeeds, one attempt at a time. The first attempt comes at once, the next ones after
 * pauses that grow to 5 s, with jitter so that many clients do not come together. The pauses go on growing
 * over several runs until {@link succeeded}: an attempt that succeeds is not yet proof that things work.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  #failures = 0;
  #running: Promise<void> | undefined;
  #moment = new AbortController();

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Whether an attempt or a pause is under way. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Starts trying, unless it does already. */
  start(): void {
    this.#running ??= this.#loop().finally(() => {
      this.#running = undefined;
      this.#options.onEnd();
    });
  }

  /** Things work: the next run begins without a pause. Cheap enough to call for every message. */
  succeeded(): void {
    this.#failures = 0;
  }

  /**
   * Something changed for the better: ends the pause under way, and gives up the attempt under way, which may
   * wait for the answer to a request that was lost.
   */
  hurry(): void {
    this.#failures = 0;
    this.#moment.abort();
    this.#moment = new AbortController();
  }

  /** Resolves when no attempt runs any more. Let `wanted` say no before. */
  async settle(): Promise<void> {
    this.hurry();
    await this.#running;
  }

  async #loop(): Promise<void> {
    while (this.#options.wanted()) {
      await this.#rest();
      if (!this.#options.wanted()) return;
      const { signal } = this.#moment;
      try {
        await unlessAborted(signal, this.#options.attempt(signal));
        return;
      } catch (error) {
        if (!signal.aborted) this.#options.onFailure(error);
      }
    }
  }

  async #rest(): Promise<void> {
    const failures = this.#failures++;
    if (failures === 0) return;
    const pause = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)) * (0.75 + Math.random() / 2);
    await sleep(pause, this.#moment.signal);
  }
}

/** Resolves after `ms` milliseconds, or when `signal` is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}

/** Rejects as soon as `signal` is aborted; what becomes of `promise` then does not matter. */
function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
