import type { PendingPublish } from './pending-publish.js';

/**
 * First come, first served. Whoever leaves early stays in the array, settled, and is passed over when its
 * turn comes; leaving costs nothing.
 */
export class WaitingLine {
  #line: PendingPublish[] = [];
  #head = 0;
  #size = 0;

  /** Number of publishes that still wait. */
  get size(): number {
    return this.#size;
  }

  push(publish: PendingPublish): void {
    this.#line.push(publish);
    this.#size++;
  }

  /** Takes the first out. */
  shift(): PendingPublish | undefined {
    while (this.#head < this.#line.length) {
      const first = this.#line[this.#head++];
      if (first !== undefined && !first.settled) {
        this.#size--;
        this.#compact();
        return first;
      }
    }
    this.#compact();
    return undefined;
  }

  /** One of those who wait was settled, and waits no more. */
  left(): void {
    this.#size--;
  }

  /** Everybody who waits, first to last. */
  *all(): Generator<PendingPublish> {
    for (let index = this.#head; index < this.#line.length; index++) {
      const publish = this.#line[index];
      if (publish !== undefined && !publish.settled) yield publish;
    }
  }

  /** Frees the served part now and then, so that neither memory nor time grows with what has passed. */
  #compact(): void {
    if (this.#head < 1024 && this.#head < this.#line.length) return;
    if (this.#head * 2 < this.#line.length) return;
    this.#line = this.#line.slice(this.#head);
    this.#head = 0;
  }
}
