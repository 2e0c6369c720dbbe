/** Grants that follow each other this closely, in milliseconds, leave others no time to write. */
const CLOSE_MS = 5;
/** So many close grants may follow each other. */
const LONGEST_ROW = 16;
/** Then nothing of ours is written for this long, which is enough for others to read and write. */
const GAP_MS = 2;

/**
 * Leaves a gap now and then. A process that takes and gives back one key in a row knows its latest revision and wins every
 * write; others who come to stand in line would lose for as long as that goes on.
 */
export class GrantGap {
  private last = -Infinity;
  private row = 0;

  /** Calls `grant`, a little later when it is the next of many. @param now performance clock */
  pass(now: number, grant: () => void): void {
    this.row = now - this.last < CLOSE_MS ? this.row + 1 : 0;
    this.last = now;
    if (this.row < LONGEST_ROW) return grant();
    this.row = 0;
    setTimeout(grant, GAP_MS);
  }
}
