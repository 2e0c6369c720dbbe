import type { Log } from '../../common/log.js';
import type { BucketLayout } from './bucket-layout.js';
import { askBucket, isPassing } from './bucket-request.js';
import { fullJitter } from './full-jitter.js';
import { lastRevision } from './last-revision.js';
import type { StoreConnection } from './store-connection.js';
import type { StoredRevision } from './stored-entry.js';
import { WatchSession, type WatchStart } from './watch-session.js';

/** How long a watch that begins waits for a server that is away. */
const PATIENCE_MS = 30_000;
const RESTART_BACKOFF = { initialMs: 50, maxMs: 5_000 };

/** With what a watch begins: the latest revision of every key, all that are kept, or only what comes from now on. */
export type WatchFrom = 'last' | 'history' | 'new';

export interface BucketWatchOptions {
  /** Key pattern. */
  readonly pattern: string;
  readonly from: WatchFrom;
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
  /** The pattern's last revision at the start, by the leader: the watch has caught up when it has seen this one. */
  private target = 0;
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
        this.end(new Error(`The connection was closed under a watch of bucket "${layout.bucket}".`));
    });
  }

  /**
   * Begins; when it resolves the server has the consumer. Waits for a server that is away.
   *
   * @throws ConnectionError when it stays away for 30 seconds, JetStreamRequestError when it refuses.
   */
  static async start(
    connection: StoreConnection,
    layout: BucketLayout,
    options: BucketWatchOptions,
    log: Log,
  ): Promise<BucketWatch> {
    const watch = new BucketWatch(connection, layout, options, log);
    try {
      await watch.begin();
    } catch (error) {
      await watch.stop();
      throw error;
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
      this.resets += 1;
    }
    this.created = stream.created;
    if (first && this.options.from === 'new') this.last = stream.state.last_seq;
    this.target = await lastRevision(this.connection, this.layout, this.options.pattern);
    const { session, pending } = await WatchSession.open(this.connection, this.layout, {
      filter: this.layout.subject(this.options.pattern),
      start: this.startOf(),
      onRevision: (key, revision, left) => this.receive(key, revision, left),
      onIdle: () => this.lookForTarget(),
      onBroken: (reason) => this.restart(reason),
    });
    this.session = session;
    if (pending === 0) this.reachedEnd();
  }

  private startOf(): WatchStart {
    if (this.options.from === 'new' || this.caughtUp) return { kind: 'after', revision: this.last };
    if (this.options.from === 'history')
      return this.last === 0 ? { kind: 'history' } : { kind: 'after', revision: this.last };
    return { kind: 'last' };
  }

  private receive(key: string, revision: StoredRevision, pending: number): void {
    if (this.stopped) return;
    // After a restart in the middle of the first values, those already passed on come again.
    if (revision.revision > this.last) {
      if (revision.revision > this.target) this.reportCaughtUp();
      this.last = revision.revision;
      this.options.onRevision(key, revision);
    }
    if (pending === 0) this.reachedEnd();
  }

  /** Nothing more waits at the consumer. It may sit on a replica that is behind: there, the rest is about to come. */
  private reachedEnd(): void {
    if (this.last >= this.target) this.reportCaughtUp();
  }

  /** The consumer has nothing for a while: what is missing has been removed, or its replica is far behind. */
  private lookForTarget(): void {
    this.reachedEnd();
    if (this.caughtUp || this.stopped) return;
    lastRevision(this.connection, this.layout, this.options.pattern).then(
      (revision) => {
        this.target = Math.min(this.target, revision);
        this.reachedEnd();
      },
      (error: unknown) => {
        // The next heartbeat asks again, or its absence starts the watch again.
        this.log.debug(`Watch of "${this.options.pattern}": ${(error as Error).message}`);
      },
    );
  }

  private reportCaughtUp(): void {
    if (this.caughtUp || this.stopped) return;
    this.caughtUp = true;
    this.options.onCaughtUp();
  }

  private async begin(): Promise<void> {
    const started = performance.now();
    const isHopeless = (error: unknown): boolean =>
      !isPassing(error) || this.connection.status === 'closed' || performance.now() - started > PATIENCE_MS;
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
    const pause = fullJitter(RESTART_BACKOFF, this.abort.signal);
    let warned = false;
    this.isBroken = true;
    while (this.isBroken && !this.stopped) {
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
