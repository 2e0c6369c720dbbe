/**
 * Who gives up when a signal aborts. A signal gets one listener, however many wait: Node takes more than ten for a leak,
 * and one signal often stands for thousands of calls.
 */
export class AbortListeners<T> {
  readonly #waiting = new Map<AbortSignal, { readonly members: Set<T>; readonly stop: () => void }>();

  /** @param onAbort called for each that waits when its signal aborts, the last first: none gets the place of another */
  constructor(private readonly onAbort: (member: T, signal: AbortSignal) => void) {}

  /** Has `member` wait for a signal that has not aborted. @returns a function that ends it. */
  add(signal: AbortSignal, member: T): () => void {
    const { members } = this.#waiting.get(signal) ?? this.#listen(signal);
    members.add(member);
    return () => this.#remove(signal, member);
  }

  #listen(signal: AbortSignal): { readonly members: Set<T> } {
    const members = new Set<T>();
    const abort = (): void => {
      this.#waiting.delete(signal);
      for (const member of [...members].reverse()) this.onAbort(member, signal);
    };
    signal.addEventListener('abort', abort, { once: true });
    const waiting = { members, stop: () => signal.removeEventListener('abort', abort) };
    this.#waiting.set(signal, waiting);
    return waiting;
  }

  #remove(signal: AbortSignal, member: T): void {
    const waiting = this.#waiting.get(signal);
    if (waiting === undefined || !waiting.members.delete(member) || waiting.members.size > 0) return;
    this.#waiting.delete(signal);
    waiting.stop();
  }
}

/** Of the whole process, which signals are. Who waits takes itself out. */
const everybody = new AbortListeners<() => void>((call) => call());

/**
 * Calls `call` when `signal` aborts; at once when it has. Unlike listeners of its own, any number may wait for one signal.
 *
 * @returns a function that ends it.
 */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  if (!signal.aborted) return everybody.add(signal, call);
  call();
  return () => undefined;
}
