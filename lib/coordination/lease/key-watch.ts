import { describeThrown } from '../../common/describe-thrown.js';
import type { Log } from '../../common/log.js';
import type { SeenTable } from './lease-store.js';

/** A key that was waited for is waited for again soon, often; a watch of it costs the server a consumer. */
const LINGER_MS = 5_000;

/** What a {@link KeyWatch} works with. */
export interface KeyWatchParts {
  /** For the log. */
  readonly what: string;
  follow(signal: AbortSignal): AsyncIterable<SeenTable>;
  onSeen(seen: SeenTable): void;
  onStopped(): void;
  readonly log: Log;
}

/** Follows the table of one key while somebody waits for it, and a little longer. */
export class KeyWatch {
  private abort: AbortController | undefined;
  private following: Promise<void> | undefined;
  private lingering: NodeJS.Timeout | undefined;
  /** It has been said that it fails. Begun again and again, it may do so for as long as somebody waits. */
  private warned = false;

  constructor(private readonly parts: KeyWatchParts) {}

  get running(): boolean {
    return this.following !== undefined;
  }

  /** Begins, or goes on. One that has failed begins anew. */
  start(): void {
    clearTimeout(this.lingering);
    this.lingering = undefined;
    if (this.abort?.signal.aborted === false) return;
    const abort = new AbortController();
    this.abort = abort;
    this.following = this.follow(abort, this.following);
  }

  /** Ends in a while, unless it is started again. */
  stopSoon(): void {
    if (!this.running) return;
    this.lingering ??= setTimeout(() => void this.stop(), LINGER_MS).unref();
  }

  /** Ends; nothing is left on the server. Never rejects. */
  async stop(): Promise<void> {
    clearTimeout(this.lingering);
    this.lingering = undefined;
    this.abort?.abort();
    await this.following;
  }

  private async follow(abort: AbortController, before: Promise<void> | undefined): Promise<void> {
    await before;
    try {
      for await (const seen of this.parts.follow(abort.signal)) {
        this.warned = false;
        this.parts.onSeen(seen);
      }
    } catch (error) {
      this.warn(error);
    }
    abort.abort();
    if (this.abort !== abort) return;
    this.following = undefined;
    this.parts.onStopped();
  }

  private warn(error: unknown): void {
    if (this.warned) return;
    this.warned = true;
    const { what, log } = this.parts;
    log.warn(`Who waits for ${what} is not told of changes for now: ${describeThrown(error)}`);
  }
}
