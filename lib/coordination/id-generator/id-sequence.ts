/** Ids from `next` up to `end`, without that. */
interface Range {
  next: number;
  readonly end: number;
}

/** Below this part of a block that is left, the next one is taken. */
const AHEAD = 0.2;

/** The ids of one sequence that this process has taken. */
export class IdSequence {
  private present: Range = { next: 0, end: 0 };
  private ahead: Range | undefined;
  private claiming: Promise<void> | undefined;
  private waiting = 0;

  /** @param claim takes `count` ids. @returns the first of them. */
  constructor(
    private readonly block: number,
    private readonly claim: (count: number) => Promise<number>,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  /** The next id, if one is there. */
  take(): number | undefined {
    if (this.present.next >= this.present.end && this.ahead !== undefined) {
      this.present = this.ahead;
      this.ahead = undefined;
    }
    const { next, end } = this.present;
    if (next >= end) return undefined;
    this.present.next += 1;
    // Whoever finds nothing left hears of the error when this fails.
    if (this.block > 1 && this.ahead === undefined && end - next <= this.block * AHEAD)
      this.refill().catch(this.onFailure);
    return next;
  }

  /** Resolves when there are more. */
  async more(): Promise<void> {
    this.waiting += 1;
    try {
      await this.refill();
    } finally {
      this.waiting -= 1;
    }
  }

  private refill(): Promise<void> {
    this.claiming ??= this.claimMore().finally(() => (this.claiming = undefined));
    return this.claiming;
  }

  private async claimMore(): Promise<void> {
    // Whoever asks in the same tick is counted.
    await Promise.resolve();
    const count = Math.max(this.block, this.waiting);
    const next = await this.claim(count);
    const range = { next, end: next + count };
    if (this.present.next >= this.present.end) this.present = range;
    else this.ahead = range;
  }
}
