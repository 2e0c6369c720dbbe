import { Observable } from 'rxjs';
import { onAbort } from '../../common/abort-listeners.js';
import type { Log } from '../../common/log.js';

/**
 * A cold Observable of what an iteration gives: each subscription opens one, and ends it by its signal.
 *
 * @param outer ends every subscription, which then completes
 * @param log is told of what fails after unsubscribing, when nobody listens any more
 */
export function toObservable<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  outer: AbortSignal | undefined,
  log: Log,
): Observable<T> {
  return new Observable((subscriber) => {
    const controller = new AbortController();
    const abort = (): void => controller.abort(outer?.reason);
    const unlisten = outer && onAbort(outer, abort);
    const pump = async (): Promise<void> => {
      for await (const item of open(controller.signal)) {
        if (subscriber.closed) return;
        subscriber.next(item);
      }
    };
    pump().then(
      () => subscriber.complete(),
      (error: unknown) => {
        if (subscriber.closed) log.warn(`A watch that nobody follows any more could not be ended: ${String(error)}`);
        else subscriber.error(error);
      },
    );
    return () => {
      unlisten?.();
      abort();
    };
  });
}
