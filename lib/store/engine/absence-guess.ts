/** Reads in a row that found nothing, from which on keys are taken to be new. */
const CONVINCED_AFTER = 32;

/**
 * Guesses whether a key that is not remembered exists, from what the last reads found. While keys are being made, the
 * guess saves the read before the write; where it is wrong, the write does not hold and the key is read after all.
 */
export class AbsenceGuess {
  private absentInARow = 0;

  /** Whether a key of which nothing is known probably has no entry. */
  get likely(): boolean {
    return this.absentInARow >= CONVINCED_AFTER;
  }

  /** A read found an entry, or none. */
  seen(exists: boolean): void {
    this.absentInARow = exists ? 0 : this.absentInARow + 1;
  }
}
