import { setTimeout as delay } from 'node:timers/promises';

/** A key counts as contended for this long after a conflict. */
const CONTENDED_MS = 1_000;

/** Whether others write a key at the same time, and how its winner makes room for them. */
export class Contention {
  private until = 0;
  private lastWriteMs = 0;

  /** Others have written the key a moment ago. */
  get isThere(): boolean {
    return this.until > 0 && performance.now() < this.until;
  }

  /** Another writer came first. */
  noticed(): void {
    this.until = performance.now() + CONTENDED_MS;
  }

  /** A write that began at `startedAt`, by the performance clock, has its answer. */
  wrote(startedAt: number): void {
    this.lastWriteMs = performance.now() - startedAt;
  }

  /** Nothing is known. */
  clear(): void {
    this.until = 0;
  }

  /**
   * The winner of a contended key has the newest revision in hand and would win again and again. It steps back for
   * about as long as another process needs to read and write; its own callers' operations gather meanwhile.
   */
  async yield(): Promise<void> {
    await delay(Math.random() * Math.min(50, 2 + 2 * this.lastWriteMs));
  }
}
