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
