/** What a revision is to those that were seen before. */
export type Seen = 'old' | 'new' | 'anew';

/**
 * Tells newer tables of a key from older ones. Answers to operations and the watch come by different ways, so one may be behind
 * the other; operations among themselves are in order. When they go back, the bucket was made anew, and counts from 1 again.
 */
export class TableOrder {
  private latest = 0;
  private latestOwn = 0;

  /** @param own it answers an operation of this process. @param revision 0: there is no entry now */
  judge(revision: number, own: boolean): Seen {
    const anew = own && revision > 0 && revision < this.latestOwn;
    if (!anew && revision > 0 && revision < this.latest) return 'old';
    this.latest = revision;
    if (own && revision > 0) this.latestOwn = revision;
    return anew || revision === 0 ? 'anew' : 'new';
  }
}
