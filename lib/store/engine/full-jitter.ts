import { setTimeout as delay } from 'node:timers/promises';
import { ExponentialBackoff, fullJitterGenerator, type IBackoff } from 'cockatiel';

/** Bounds of the pauses between attempts of competing processes, in milliseconds. */
export interface Backoff {
  readonly initialMs: number;
  readonly maxMs: number;
}

/**
 * A function that pauses longer at each call, each time for a random part of the bound: competitors spread. A pause ends
 * early, without an error, when `signal` aborts.
 */
export function fullJitter({ initialMs, maxMs }: Backoff, signal?: AbortSignal): () => Promise<void> {
  let next: IBackoff<unknown> | undefined;
  return async () => {
    // Made when the first pause is due: most operations need none.
    next = next === undefined ? backoff(initialMs, maxMs).next() : next.next(undefined);
    try {
      await delay(next.duration, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  };
}

function backoff(initialDelay: number, maxDelay: number): ExponentialBackoff<number> {
  return new ExponentialBackoff({ initialDelay, maxDelay, generator: fullJitterGenerator });
}
