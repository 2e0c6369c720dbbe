import type { PendingOperation } from './pending-operation.js';

/** Length from which settled operations are cleared out. */
const COMPACT_FROM = 256;

/** The operations that wait for their commit, first come first served. Those that are settled meanwhile are passed over. */
export class WaitingOperations<State> {
  private list: PendingOperation<State>[] = [];
  private compactAt = COMPACT_FROM;

  get size(): number {
    return this.list.length;
  }

  add(operation: PendingOperation<State>): void {
    // A list that grows takes room for many, and most have one.
    if (this.list.length === 0) this.list = [operation];
    else this.list.push(operation);
    if (this.list.length >= this.compactAt) this.compact();
  }

  /** Whether a caller waits. */
  hasAny(): boolean {
    return this.list.some(isWaiting);
  }

  /** Gives up those that are overdue. */
  expire(now: number): void {
    for (const operation of this.list) operation.expire(now);
  }

  /** @returns those of `batch` who still wait, filled up to `limit`. */
  fill(batch: PendingOperation<State>[], limit: number): PendingOperation<State>[] {
    let filled = batch.every(isWaiting) ? batch : batch.filter(isWaiting);
    if (filled.length === 0 && this.list.length <= limit && this.list.every(isWaiting)) {
      filled = this.list;
      this.list = [];
    }
    while (filled.length < limit && this.list.length > 0) {
      const taken = this.list.splice(0, limit - filled.length);
      for (const operation of taken) if (!operation.settled) filled.push(operation);
    }
    return filled;
  }

  private compact(): void {
    this.list = this.list.filter(isWaiting);
    this.compactAt = Math.max(COMPACT_FROM, this.list.length * 2);
  }
}

export function isWaiting(operation: { readonly settled: boolean }): boolean {
  return !operation.settled;
}
