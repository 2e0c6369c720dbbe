import { randomBytes } from 'node:crypto';

/** How many writers an entry remembers. */
const MAX_WRITERS = 64;

/** Identity of one store in one process, and the number of its latest commit. */
export class Writer {
  /** Short and unique: it stands in the headers of every entry the process writes. */
  readonly id = randomBytes(6).toString('base64url');
  private commits = 0;

  /** A number for the next commit; larger than all before. */
  next(): number {
    this.commits += 1;
    return this.commits;
  }
}

/**
 * Which commit each recent writer of an entry made last, the latest writer first. Since a process has one commit
 * per key on the way, this answers "was mine applied?" however many others came after it, also when the reply was
 * lost and the server has restarted since.
 */
export class WriterMarks {
  static readonly NONE = new WriterMarks('');

  private constructor(
    /** The header value, `<id>=<number in base 36>` separated by commas. */
    readonly text: string,
  ) {}

  static parse(text: string): WriterMarks {
    return text === '' ? WriterMarks.NONE : new WriterMarks(text);
  }

  /** No writer is known: the entry was written by another client, or is absent. */
  get isEmpty(): boolean {
    return this.text === '';
  }

  /** As many writers as fit: one that is not among them may have been dropped. */
  get isFull(): boolean {
    return this.text.split(',').length >= MAX_WRITERS;
  }

  /** Number of the writer's last commit, if it is among the recent writers. */
  last(writerId: string): number | undefined {
    const prefix = `${writerId}=`;
    const mark = this.text.split(',').find((candidate) => candidate.startsWith(prefix));
    return mark === undefined ? undefined : parseInt(mark.slice(prefix.length), 36);
  }

  /** These, with the writer's commit first. */
  with(writerId: string, commit: number): WriterMarks {
    const mark = `${writerId}=${commit.toString(36)}`;
    const prefix = `${writerId}=`;
    // The common case by far: nobody else writes this key.
    if (this.isEmpty || (this.text.startsWith(prefix) && !this.text.includes(','))) return new WriterMarks(mark);
    const others = this.text.split(',').filter((other) => !other.startsWith(prefix));
    return new WriterMarks([mark, ...others.slice(0, MAX_WRITERS - 1)].join(','));
  }
}
