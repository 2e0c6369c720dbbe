import { isPassing } from './bucket-request.js';
import { fullJitter, type Backoff } from './full-jitter.js';
import { orAborted } from './or-aborted.js';
import type { StoreConnection } from './store-connection.js';

export interface Persistence {
  /** How long a server that is away is waited for. Milliseconds. */
  readonly patienceMs: number;
  /** Pauses between attempts. */
  readonly backoff: Backoff;
  /** For the error of a cancelled one: `read of "SFO"`. */
  readonly what: string | (() => string);
  readonly signal: AbortSignal | undefined;
  /** Told of every attempt after the first. */
  readonly onRetry?: () => void;
}

/**
 * The outcome of a request that may be repeated, asked for again while the server is away.
 *
 * @param ask told how long there still is, and how many attempts there were before
 * @throws ConnectionError when it stays away, CancelledError as soon as `signal` aborts, and at once what `ask` is refused with.
 */
export async function untilAnswered<T>(
  connection: StoreConnection,
  ask: (leftMs: number, attempts: number) => Promise<T>,
  { patienceMs, backoff, what, signal, onRetry }: Persistence,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  let pause: (() => Promise<void>) | undefined;
  for (let attempts = 0; ; attempts++) {
    try {
      const asked = ask(Math.max(1, deadline - performance.now()), attempts);
      return await (signal === undefined ? asked : orAborted(asked, what, signal));
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline || connection.status === 'closed') throw error;
      onRetry?.();
      await (pause ??= fullJitter(backoff, signal))();
    }
  }
}
