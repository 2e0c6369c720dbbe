import { CancelledError, ConnectionError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { reconnectPause } from './reconnect-pause.js';

/** How often a wait says that it still waits. */
const SAY_EVERY_MS = 15_000;

/** A failure that waiting can mend. */
export class NotYet extends Error {
  override readonly name = 'NotYet';
}

/** What an application's patience depends on. */
export interface PatienceOptions {
  readonly whenAbsent: 'wait' | 'fail';
  /** Milliseconds. */
  readonly waitAtMost?: number | undefined;
}

/** The patience `whenAbsent` and `waitAtMost` ask for, over all that is waited for at boot. */
export class Patience {
  readonly #options: PatienceOptions;
  readonly #log: Log;
  readonly #signal: AbortSignal | undefined;
  readonly #start = performance.now();
  #saidAt = -Infinity;

  constructor(options: PatienceOptions, log: Log, signal: AbortSignal | undefined) {
    this.#options = options;
    this.#log = log;
    this.#signal = signal;
  }

  /**
   * Tries until it works, about every `everyMs`.
   *
   * @param graceMs how long to try even with `whenAbsent: 'fail'`
   * @throws ConnectionError with the message of the last {@link NotYet} when patience is over.
   * @throws CancelledError when the signal aborts. Errors other than `NotYet` come through at once.
   */
  async until<T>(attempt: () => Promise<T>, everyMs: number, graceMs = 0): Promise<T> {
    const begin = performance.now();
    for (;;) {
      this.#throwIfCancelled();
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof NotYet)) throw error;
        this.#throwIfOver(error, performance.now() - begin >= graceMs);
        this.#say(error);
      }
      await this.#pause(everyMs);
    }
  }

  #throwIfOver(error: NotYet, graceIsOver: boolean): void {
    const { whenAbsent, waitAtMost = Infinity } = this.#options;
    const { cause, message } = error;
    if (whenAbsent === 'fail') {
      if (graceIsOver) throw new ConnectionError(message, { cause });
    } else if (performance.now() - this.#start >= waitAtMost) {
      throw new ConnectionError(`${message} Waited ${waitAtMost} ms for it (waitAtMost).`, { cause });
    }
  }

  #say(error: NotYet): void {
    const now = performance.now();
    if (now - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = now;
    const seconds = Math.round((now - this.#start) / 1000);
    this.#log.warn(`${error.message} Waiting for it${seconds === 0 ? '' : `, ${seconds} s so far`}.`);
  }

  async #pause(everyMs: number): Promise<void> {
    const left = (this.#options.waitAtMost ?? Infinity) - (performance.now() - this.#start);
    await pause(Math.max(0, Math.min(reconnectPause(everyMs), left)), this.#signal);
  }

  #throwIfCancelled(): void {
    if (this.#signal?.aborted !== true) return;
    throw new CancelledError('Connecting to NATS', { cause: this.#signal.reason });
  }
}

/** Resolves after `milliseconds`, or as soon as `signal` aborts. */
function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener('abort', end, { once: true });
  });
}
