import { randomBytes } from 'node:crypto';

/** How many writers an entry remembers. */
const MAX_WRITERS = 64;
/** Begins the element that tells when the list began; no writer's id has it. */
const BEGINNING = '~';
/** Of a list without that element: it was begun by a version that wrote none. */
const UNKNOWN = -1;

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
 * lost and the server has restarted since. Another client's write, a deletion by one and an expiry end the list, and the next
 * of ours begins a new one; so it says when it began.
 */
export class WriterMarks {
  static readonly NONE = new WriterMarks('', 0, '', UNKNOWN, 0);

  /** In parts, and not as the text: there is one per entry that the store remembers. */
  constructor(
    /** The latest writer; empty when none is known. */
    readonly id: string,
    readonly commit: number,
    /** The ones before it, as they stand in the header. */
    readonly others: string,
    /** The revision that the write which began the list was made for, 0 where there was no message; or unknown. */
    readonly on: number,
    /** Revision from which on all writes are in the list; 0: that of the entry itself. */
    readonly since: number,
  ) {}

  static parse(text: string): WriterMarks {
    if (text === '') return WriterMarks.NONE;
    const tilde = text.lastIndexOf(`,${BEGINNING}`);
    const marks = tilde === -1 ? text : text.slice(0, tilde);
    const [on = UNKNOWN, since = 0] =
      tilde === -1
        ? []
        : text
            .slice(tilde + 2)
            .split('.')
            .map(fromBase36);
    const end = marks.indexOf(',');
    const [first, others] = end === -1 ? [marks, ''] : [marks.slice(0, end), marks.slice(end + 1)];
    const equals = first.indexOf('=');
    return new WriterMarks(first.slice(0, equals), fromBase36(first.slice(equals + 1)), others, on, since);
  }

  /**
   * The header value: `<id>=<number>` for each writer, and at the end `~<on>` or `~<on>.<since>`; separated by commas, all
   * numbers in base 36. Versions that do not know the end take it for a writer, and carry it on.
   */
  get text(): string {
    if (this.isEmpty) return '';
    const marks = this.marks;
    if (this.on === UNKNOWN) return marks;
    const on = `${marks},${BEGINNING}${this.on.toString(36)}`;
    return this.since === 0 ? on : `${on}.${this.since.toString(36)}`;
  }

  private get marks(): string {
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
    return mark === undefined ? undefined : fromBase36(mark.slice(prefix.length));
  }

  /** These, of the entry at `revision`, with the writer's commit on it first. */
  with(writerId: string, commit: number, revision: number): WriterMarks {
    if (this.isEmpty) return new WriterMarks(writerId, commit, '', revision, 0);
    const on = this.on === UNKNOWN ? revision : this.on;
    const since = this.since === 0 ? revision : this.since;
    if (this.id === writerId) return new WriterMarks(writerId, commit, this.others, on, since);
    const prefix = `${writerId}=`;
    const others = this.marks.split(',').filter((other) => !other.startsWith(prefix));
    return new WriterMarks(writerId, commit, others.slice(0, MAX_WRITERS - 1).join(','), on, since);
  }
}

function fromBase36(text: string): number {
  return parseInt(text, 36);
}
