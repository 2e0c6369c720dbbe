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
  static readonly NONE = new WriterMarks('', 0, '');

  /** In parts, and not as the text: there is one per entry that the store remembers. */
  constructor(
    /** The latest writer; empty when none is known. */
    readonly id: string,
    readonly commit: number,
    /** The ones before it, as they stand in the header. */
    readonly others: string,
  ) {}

  static parse(text: string): WriterMarks {
    if (text === '') return WriterMarks.NONE;
    const end = text.indexOf(',');
    const [first, others] = end === -1 ? [text, ''] : [text.slice(0, end), text.slice(end + 1)];
    const equals = first.indexOf('=');
    return new WriterMarks(first.slice(0, equals), parseInt(first.slice(equals + 1), 36), others);
  }

  /** The header value, `<id>=<number in base 36>` separated by commas. */
  get text(): string {
    if (this.isEmpty) return '';
    const first = `${this.id}=${this.commit.toString(36)}`;
    return this.others === '' ? first : `${first},${this.others}`;
  }

  /** No writer is known: the entry was written by another client, or is absent. */
  get isEmpty(): boolean {
    return this.id === '';
  }

  /** As many writers as fit: one that is not among them may have been dropped. */
  get isFull(): boolean {
    return this.others !== '' && this.others.split(',').length + 1 >= MAX_WRITERS;
  }

  /** Number of the writer's last commit, if it is among the recent writers. */
  last(writerId: string): number | undefined {
    if (this.id === writerId) return this.commit;
    const prefix = `${writerId}=`;
    const mark = this.others.split(',').find((candidate) => candidate.startsWith(prefix));
    return mark === undefined ? undefined : parseInt(mark.slice(prefix.length), 36);
  }

  /** These, with the writer's commit first. */
  with(writerId: string, commit: number): WriterMarks {
    if (this.isEmpty || this.id === writerId) return new WriterMarks(writerId, commit, this.others);
    const prefix = `${writerId}=`;
    const others = this.text.split(',').filter((other) => !other.startsWith(prefix));
    return new WriterMarks(writerId, commit, others.slice(0, MAX_WRITERS - 1).join(','));
  }
}
