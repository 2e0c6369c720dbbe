/** How much later than a state was written its bucket's age must have been looked at: clocks of processes differ. */
const MARGIN_MS = 1_000;

/** What the age of a bucket is asked with. */
export interface BucketAgeParts {
  /** Asks the server for it, in milliseconds; `Infinity`: nothing expires. */
  readonly ask: () => Promise<number>;
  /** Milliseconds by the server's clock. */
  readonly now: () => number;
}

/**
 * How long a bucket keeps what is in it, which grows when instances with longer windows come. They let it grow before they write
 * anything: so what was written before the age was looked at last is over when it is as old as that.
 */
export class BucketAge {
  private ageMs: number;
  private askedAtMs = -Infinity;
  private asking = false;

  /** @param ageMs as it was when the bucket was opened */
  constructor(
    private readonly parts: BucketAgeParts,
    ageMs: number,
  ) {
    this.ageMs = ageMs;
  }

  /** Whether the server has let go, or would have, what was written then. When that is not known, it is asked for, and the answer is no. */
  isOver(atMs: number): boolean {
    const now = this.parts.now();
    if (atMs + this.ageMs >= now) return false;
    if (this.askedAtMs > atMs + MARGIN_MS) return true;
    if (!this.asking) void this.look(now);
    return false;
  }

  private async look(now: number): Promise<void> {
    this.asking = true;
    try {
      this.ageMs = await this.parts.ask();
      this.askedAtMs = now;
    } catch {
      // Whoever needs an answer of the server hears that there is none; here states only stay longer.
    } finally {
      this.asking = false;
    }
  }
}
