import { unescapeToken, type FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { SubjectWatch } from '../../stream/subject-watch.js';
import { followFromStart } from './follow-from-start.js';

/** Cancelled runs remembered per flow and process; beyond that the oldest are forgotten, and what is left of them runs. */
const REMEMBERED = 100_000;

/**
 * Knows which runs of a flow were cancelled, from the requests in its stream: those of the past when it
 * starts, new ones as they come.
 */
export class CancelledRuns {
  private readonly runIds = new Set<string>();
  private readonly listeners = new Set<(runId: string) => void>();
  private watch: SubjectWatch | undefined;

  constructor(
    private readonly connection: FlowConnection,
    private readonly names: FlowNames,
    private readonly log: Log,
  ) {}

  /**
   * Resolves when every cancellation up to now is known.
   *
   * @throws ConnectionError when the connection is closed for good before that
   */
  async start(): Promise<void> {
    this.watch = await followFromStart(this.connection, {
      stream: this.names.stream,
      filter: this.names.cancelFilter,
      onMessage: (message) => this.add(unescapeToken(message.subject.split('.')[3] ?? '')),
      onError: (error) => this.log.warn(`Watching cancelled runs of "${this.names.flow}": ${String(error)}`),
    });
  }

  has(runId: string): boolean {
    return this.runIds.has(runId);
  }

  /** Calls `listener` with each run that is cancelled from now on. */
  onCancel(listener: (runId: string) => void): void {
    this.listeners.add(listener);
  }

  async stop(): Promise<void> {
    await this.watch?.stop();
  }

  private add(runId: string): void {
    this.runIds.add(runId);
    if (this.runIds.size > REMEMBERED) this.forgetOldest();
    for (const listener of this.listeners) listener(runId);
  }

  private forgetOldest(): void {
    for (const oldest of this.runIds) {
      this.runIds.delete(oldest);
      return;
    }
  }
}
