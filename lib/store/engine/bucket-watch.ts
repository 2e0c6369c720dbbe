import { onAbort } from '../../common/abort-listeners.js';
import { CancelledError, ConnectionError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import type { BucketLayout } from './bucket-layout.js';
import { askBucket, isPassing } from './bucket-request.js';
import { fullJitter } from './full-jitter.js';
import { lastRevision } from './last-revision.js';
import type { StoreConnection } from './store-connection.js';
import type { StoredRevision } from './stored-entry.js';
import { WatchSession, type WatchStart } from './watch-session.js';

/** How long a watch that begins waits for a server that is away. */
export const WATCH_PATIENCE_MS = 30_000;
/** Pauses between attempts to begin, or to go on. */
export const WATCH_BACKOFF = { initialMs: 50, maxMs: 5_000 };

/** With what a watch begins: the latest revision of every key, all that are kept, or only what comes from now on. */
export type WatchFrom = 'last' | 'history' | 'new';

export interface BucketWatchOptions {
  /** Key pattern. */
  readonly pattern: string;
  readonly from: WatchFrom;
  /** Gives up a start that is under way. A watch that has begun is ended by whoever has it. */
  readonly signal?: AbortSignal;
  /** For a watch of the history: what to wait for before more is fetched; `undefined`: nothing. */
  readonly room?: () => Promise<void> | undefined;
  onRevision(key: string, revision: StoredRevision): void;
  /** What was there at the start has been passed on. Once. */
  onCaughtUp(): void;
  /** The watch is over for good. Once, and nothing follows. */
  onEnd(error: Error): void;
}

/**
 * Follows a key pattern over reconnects, server restarts and lost consumers: every key's revisions come in increasing
 * order, none twice, and the latest is never missed. Revisions that were replaced before they could be delivered are.
 * When the bucket itself is deleted, the watch waits for it to come back and begins anew with what it holds then.
 */
export class BucketWatch {
  private session: WatchSession | undefined;
  private last = 0;
  private resets = 0;
  private caughtUp = false;
  /** Revision that has to be seen next on the way to being caught up, see {@link lookForEnd}. */
  private target = Infinity;
  /** All that waited at first has come. */
  private isListed = false;
  private created = '';
  private stopped = false;
  /** The session is at its end. */
  private isBroken = false;
  private restarting: Promise<void> | undefined;
  private readonly unlisten: () => void;
  private readonly abort = new AbortController();

  private constructor(
    private readonly connection: StoreConnection,
    private readonly layout: BucketLayout,
    private readonly options: BucketWatchOptions,
    private readonly log: Log,
  ) {
    this.unlisten = connection.onStatus((status) => {
      if (status === 'connected') this.restart('the connection is back');
      if (status === 'closed')
        this.end(new ConnectionError(`The connection was closed under a watch of bucket "${layout.bucket}".`));
    });
  }

  /**
   * Begins; when it resolves the server has the consumer. Waits for a server that is away.
   *
   * @throws ConnectionError when it stays away for 30 seconds, JetStreamRequestError when it refuses, CancelledError when
   * `signal` aborts; each time nothing is left on the server.
   */
  static async start(
    connection: StoreConnection,
    layout: BucketLayout,
    options: BucketWatchOptions,
    log: Log,
  ): Promise<BucketWatch> {
    const watch = new BucketWatch(connection, layout, options, log);
    const { signal, pattern } = options;
    const unlisten = signal && onAbort(signal, () => watch.abort.abort());
    try {
      await watch.begin();
      if (signal?.aborted === true)
        throw new CancelledError(`The watch of "${pattern}" in bucket "${layout.bucket}"`, { cause: signal.reason });
    } catch (error) {
      await watch.stop();
      throw error;
    } finally {
      unlisten?.();
    }
    return watch;
  }

  /** The last revision passed on; in the meantime it has seen every revision of the pattern up to it. 0: none. */
  get revision(): number {
    return this.last;
  }

  /** Grows when the bucket was made anew, or emptied, and its revisions begin anew. */
  get epoch(): number {
    return this.resets;
  }

  /** Tells one bucket from another of the same name. */
  get incarnation(): string {
    return this.created;
  }

  /** From now on it goes on where it was, whatever breaks; before, it may leave out what was replaced meanwhile. */
  get isCaughtUp(): boolean {
    return this.caughtUp;
  }

  /** Ends it; nothing is passed on any more, and no consumer is left behind. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.unlisten();
    this.abort.abort();
    await this.restarting;
    await this.session?.close();
  }

  private end(error: Error): void {
    if (this.stopped) return;
    void this.stop().then(
      () => this.options.onEnd(error),
      (failure: unknown) => this.options.onEnd(failure as Error),
    );
  }

  private async open(): Promise<void> {
    const stream = await askBucket(this.connection, `watch bucket "${this.layout.bucket}"`, () =>
      this.connection.manager.streams.info(this.layout.stream),
    );
    const first = this.created === '';
    if (!first && (stream.created !== this.created || stream.state.last_seq < this.last)) {
      // Another bucket of the same name, or an emptied one: its revisions begin anew.
      this.last = 0;
      this.caughtUp = false;
      this.isListed = false;
      this.resets += 1;
    }
    this.created = stream.created;
    if (first && this.options.from === 'new') this.last = stream.state.last_seq;
    this.target = Infinity;
    const session = await WatchSession.open(this.connection, this.layout, {
      filter: this.layout.subject(this.options.pattern),
      start: this.startOf(),
      onRevision: (key, revision) => this.receive(key, revision),
      onIdle: () => this.aimLast(),
      room: () => this.options.room?.(),
      onBroken: (reason) => this.restart(reason),
    });
    this.session = session;
    if (this.options.from === 'new') this.reportCaughtUp();
    else if (!this.caughtUp) await this.aim();
  }

  private startOf(): WatchStart {
    if (this.options.from === 'new' || this.isListed) return { kind: 'after', revision: this.last };
    if (this.options.from === 'history')
      return this.last === 0 ? { kind: 'history' } : { kind: 'after', revision: this.last };
    return { kind: 'last' };
  }

  private receive(key: string, revision: StoredRevision): void {
    // After a restart in the middle of the first values, those already passed on come again.
    if (this.stopped || revision.revision <= this.last) return;
    this.last = revision.revision;
    this.options.onRevision(key, revision);
    this.lookForEnd();
  }

  /**
   * Everything that was there has been passed on when two revisions have been seen: the pattern's last one after the session began,
   * which is behind all that waited then; and the last one after that, which is behind what has replaced a value that waited.
   * The number of messages that the server says are pending is no help: it is off while values are replaced.
   */
  private lookForEnd(): void {
    if (this.caughtUp || this.stopped || this.last < this.target) return;
    if (this.isListed) this.reportCaughtUp();
    else this.aimLast();
  }

  private async aim(): Promise<void> {
    const { session } = this;
    const target = await lastRevision(this.connection, this.layout, this.options.pattern);
    if (session !== this.session) return;
    this.target = target;
    this.lookForEnd();
  }

  /** Also when there is nothing for a while: then what was to be seen has been removed, or a replica is far behind. */
  private aimLast(): void {
    if (this.caughtUp || this.stopped) return;
    this.isListed = true;
    this.target = Infinity;
    this.aim().catch((error: unknown) => {
      // The next heartbeat asks again, or its absence starts the watch again.
      this.log.debug(`Watch of "${this.options.pattern}": ${(error as Error).message}`);
    });
  }

  private reportCaughtUp(): void {
    if (this.caughtUp || this.stopped) return;
    this.caughtUp = true;
    this.options.onCaughtUp();
  }

  private async begin(): Promise<void> {
    const started = performance.now();
    const isHopeless = (error: unknown): boolean =>
      !isPassing(error) || this.connection.status === 'closed' || performance.now() - started > WATCH_PATIENCE_MS;
    const opening = this.reopen(isHopeless);
    // What breaks until then is mended by the same loop. Its error is the caller's.
    this.restarting = opening.then(doNothing, doNothing).finally(() => (this.restarting = undefined));
    await opening;
  }

  private restart(reason: string): void {
    if (this.stopped) return;
    this.isBroken = true;
    if (this.restarting !== undefined) return;
    this.log.debug(`Watch of "${this.options.pattern}" in bucket "${this.layout.bucket}" starts again: ${reason}.`);
    this.restarting = this.reopen(() => false)
      .catch((error: unknown) => this.end(error as Error))
      .finally(() => (this.restarting = undefined));
  }

  private async reopen(isHopeless: (error: unknown) => boolean): Promise<void> {
    const pause = fullJitter(WATCH_BACKOFF, this.abort.signal);
    let warned = false;
    this.isBroken = true;
    while (this.isBroken && !this.abort.signal.aborted) {
      // Whatever breaks from here on needs another round.
      this.isBroken = false;
      try {
        const old = this.session;
        this.session = undefined;
        await old?.close();
        await this.open();
      } catch (error) {
        if (isHopeless(error)) throw error;
        this.isBroken = true;
        if (this.connection.status === 'connected' && !warned) {
          warned = true;
          this.log.warn(
            `Watch of "${this.options.pattern}" in bucket "${this.layout.bucket}" cannot go on and keeps trying: ${(error as Error).message}`,
          );
        }
        await pause();
      }
    }
  }
}

function doNothing(): void {
  // Told elsewhere.
}
