import type { Log } from '../../common/log.js';
import type { BucketWatch, BucketWatchOptions } from './bucket-watch.js';
import { orAborted } from './or-aborted.js';
import type { StoredRevision } from './stored-entry.js';

/** A watch that somebody has; nothing is passed on after `stop`. */
export interface RunningWatch {
  stop(): Promise<void>;
}

/** What a {@link SharedWatch} works with. */
export interface SharedWatchParts {
  open(options: BucketWatchOptions): Promise<BucketWatch>;
  /** Revision of the bucket's last write; waits for a server that is away. */
  lastRevision(signal: AbortSignal | undefined): Promise<number>;
  /** The last one has left, or the watch has ended: nobody may join any more. */
  onEmpty(): void;
  readonly log: Log;
}

/**
 * One consumer of the server for all who watch a pattern: passes each revision on to all of them.
 *
 * Whoever comes later first catches up on a watch of its own. As soon as that one has come at least as far as the shared
 * one it is stopped, and the latecomer follows the shared one from the revision it has seen last: nothing between can be
 * missed or come twice, whichever of the two is ahead.
 */
export class SharedWatch {
  private readonly members = new Set<Member>();
  private readonly first: Member;
  private readonly opening: Promise<BucketWatch>;
  /** Nobody waits for it to open any more. */
  private readonly abandoned = new AbortController();
  private over = false;

  /** Begins at once, with the first one; see {@link begun}. */
  constructor(
    private readonly parts: SharedWatchParts,
    options: BucketWatchOptions,
  ) {
    this.first = this.add(options);
    this.first.follow();
    this.opening = parts.open({
      pattern: options.pattern,
      from: options.from,
      signal: this.abandoned.signal,
      onRevision: (key, revision) => {
        for (const member of this.members) member.receive(key, revision);
      },
      onCaughtUp: () => {
        this.first.reportCaughtUp();
        void this.opening.then((shared) => {
          for (const member of this.members) member.moveTo(shared);
        }, doNothing);
      },
      onEnd: (error) => this.end(error),
    });
  }

  /** The first one's watch, once the server has the consumer. Must be awaited. */
  async begun(): Promise<RunningWatch> {
    await this.opened(this.first);
    return this.first;
  }

  /** Takes in one more, which first gets what is there. */
  async join(options: BucketWatchOptions): Promise<RunningWatch> {
    const member = this.add(options);
    const shared = await this.opened(member);
    try {
      if (options.from === 'new') {
        member.follow(shared, await this.parts.lastRevision(options.signal));
        member.reportCaughtUp();
      } else {
        await member.catchUp(shared, (own) => this.parts.open(own));
      }
    } catch (error) {
      await member.stop();
      throw error;
    }
    return member;
  }

  private add(options: BucketWatchOptions): Member {
    const member: Member = new Member(options, this.parts.log, () => this.leave(member));
    this.members.add(member);
    return member;
  }

  /** @throws what the opening fails with; CancelledError when the member's signal aborts, and then it has left. */
  private async opened(member: Member): Promise<BucketWatch> {
    const { signal, pattern } = member.options;
    try {
      return await orAborted(this.opening, `watch of "${pattern}"`, signal);
    } catch (error) {
      if (signal?.aborted === true) {
        await member.stop();
      } else {
        this.members.delete(member);
        this.close();
      }
      throw error;
    }
  }

  private async leave(member: Member): Promise<void> {
    if (!this.members.delete(member) || this.members.size > 0) return;
    this.close();
    this.abandoned.abort();
    // Where it did not open, nothing is left to stop, and nobody to be told why.
    const watch = await this.opening.catch(doNothing);
    await watch?.stop();
  }

  private end(error: Error): void {
    this.close();
    const all = [...this.members];
    this.members.clear();
    for (const member of all) member.end(error);
  }

  private close(): void {
    if (this.over) return;
    this.over = true;
    this.parts.onEmpty();
  }
}

/** One who watches. */
class Member implements RunningWatch {
  /** Set once the shared watch is what counts. `from`: where that was, when it came later. */
  private following:
    { readonly from?: { readonly watch: BucketWatch; readonly epoch: number; readonly after: number } } | undefined;
  private caughtUp = false;
  private stopped = false;
  /** What the shared watch told while it was not known yet what is new. */
  private held: [key: string, revision: StoredRevision][] = [];
  /** The watch to catch up on. */
  private own: BucketWatch | undefined;
  private ownStopped: Promise<void> | undefined;

  constructor(
    readonly options: BucketWatchOptions,
    private readonly log: Log,
    private readonly leave: () => Promise<void>,
  ) {}

  /** Follows the shared watch; one that came later, from after the revision it has seen last. */
  follow(watch?: BucketWatch, after = 0): void {
    this.following = watch === undefined ? {} : { from: { watch, epoch: watch.epoch, after } };
    for (const [key, revision] of this.held) this.receive(key, revision);
    this.held = [];
  }

  /** Gets what is there by a watch of its own, then follows `shared`. */
  async catchUp(shared: BucketWatch, open: (options: BucketWatchOptions) => Promise<BucketWatch>): Promise<void> {
    const own = await open({
      ...this.options,
      onRevision: (key, revision) => {
        this.pass(key, revision);
        this.moveTo(shared);
      },
      onCaughtUp: () => {
        this.reportCaughtUp();
        this.moveTo(shared);
      },
      onEnd: (error) => this.end(error),
    });
    this.own = own;
    this.moveTo(shared);
    // Left while it was opening.
    if (this.stopped) await own.stop();
  }

  /** A revision of the shared watch. */
  receive(key: string, revision: StoredRevision): void {
    if (this.following === undefined) {
      if (this.options.from === 'new') this.held.push([key, revision]);
      return;
    }
    const { from } = this.following;
    // After the bucket was made anew, its revisions begin anew too.
    if (from !== undefined && from.watch.epoch === from.epoch && revision.revision <= from.after) return;
    this.pass(key, revision);
  }

  reportCaughtUp(): void {
    if (this.caughtUp || this.stopped) return;
    this.caughtUp = true;
    this.options.onCaughtUp();
  }

  end(error: Error): void {
    if (this.stopped) return;
    void this.stop().then(
      () => this.options.onEnd(error),
      (failure: unknown) => this.options.onEnd(failure as Error),
    );
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    await Promise.all([this.leave(), this.ownStopped ?? this.own?.stop()]);
  }

  private pass(key: string, revision: StoredRevision): void {
    if (!this.stopped) this.options.onRevision(key, revision);
  }

  /** Follows `shared` if its own watch has seen everything that the shared one has passed on. */
  moveTo(shared: BucketWatch): void {
    const { own } = this;
    if (!shared.isCaughtUp) return;
    if (own === undefined || this.following !== undefined || !this.caughtUp || this.stopped) return;
    if (own.incarnation !== shared.incarnation || own.revision < shared.revision) return;
    this.follow(shared, own.revision);
    this.own = undefined;
    this.ownStopped = own.stop().catch((error: unknown) => {
      this.log.warn(`A watch could not remove its consumer; the server will: ${String(error)}`);
    });
  }
}

function doNothing(): undefined {
  // Told to whoever waits for it to open.
}
