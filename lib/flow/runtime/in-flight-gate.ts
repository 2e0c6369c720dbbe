/**
 * Lets a bounded number of messages through at a time, first come first served. Used for one step over all
 * its sources, and for all steps of a process.
 */
export class InFlightGate {
  private readonly waiting: (() => void)[] = [];
  private inside = 0;

  constructor(private readonly places: number) {}

  /** Takes a place at once, or says with `false` that one has to {@link enter}. */
  tryEnter(): boolean {
    if (this.inside >= this.places || this.waiting.length > 0) return false;
    this.inside += 1;
    return true;
  }

  /** Takes a place as soon as one is free. */
  enter(): Promise<void> {
    if (this.tryEnter()) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Gives a place back; it goes to whoever waits longest. */
  leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.inside -= 1;
    else next();
  }
}
