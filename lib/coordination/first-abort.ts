import { onAbort } from '../common/abort-listeners.js';

/** A signal that aborts as soon as one of several does. */
export interface FirstAbort extends Disposable {
  readonly signal: AbortSignal;
}

/** Listens to `signals` until it is disposed. Unlike `AbortSignal.any` it leaves nothing with those that live long. */
export function firstAbort(signals: readonly (AbortSignal | undefined)[]): FirstAbort {
  const controller = new AbortController();
  const listeners = signals.flatMap((signal) => {
    if (signal === undefined) return [];
    return [onAbort(signal, () => controller.abort(signal.reason))];
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const stop of listeners) stop();
    },
  };
}
