import { onAbort } from '../../common/abort-listeners.js';
import { CancelledError } from '../../common/errors.js';

/**
 * The outcome of `promise`, or a `CancelledError` as soon as `signal` aborts. What the promise stands for goes on; only
 * nobody waits for it any more.
 *
 * @param what for the error: `read of "SFO"`, or what says so by then
 */
export async function orAborted<T>(
  promise: Promise<T>,
  what: string | (() => string),
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  let unlisten: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    unlisten = onAbort(signal, () => {
      const label = typeof what === 'string' ? what : what();
      reject(new CancelledError(`The ${label}`, { cause: signal.reason }));
    });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    unlisten?.();
  }
}
