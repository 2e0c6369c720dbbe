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
  /** When a run's cancellation is over, in the server's milliseconds; the oldest first. */
  private readonly ends = new Map<string, number>();
  private readonly listeners = new Set<(runId: string) => void>();
  private watch: SubjectWatch | undefined;

  /** @param retentionMs of the flow: when it is over, a cancelled run's id names a new run */
  constructor(
    private readonly connection: FlowConnection,
    private readonly names: FlowNames,
    private readonly retentionMs: number,
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
      onMessage: ({ subject, time }) => this.add(unescapeToken(subject.split('.')[3] ?? ''), time.getTime()),
      onError: (error) => this.log.warn(`Watching cancelled runs of "${this.names.flow}": ${String(error)}`),
    });
  }

  /** Whether a message belongs to a cancelled run. */
  has(runId: string, message: { readonly time: Date }): boolean {
    const end = this.ends.get(runId);
    // Both by the server's clock: a run of the same id that began later is another one.
    return end !== undefined && message.time.getTime() < end;
  }

  /** Calls `listener` with each run that is cancelled from now on. */
  onCancel(listener: (runId: string) => void): void {
    this.listeners.add(listener);
  }

  async stop(): Promise<void> {
    await this.watch?.stop();
  }

  private add(runId: string, timeMs: number): void {
    this.ends.delete(runId);
    this.ends.set(runId, timeMs + this.retentionMs);
    if (this.ends.size > REMEMBERED) this.forgetOldest();
    for (const listener of this.listeners) listener(runId);
  }

  private forgetOldest(): void {
    for (const oldest of this.ends.keys()) {
      this.ends.delete(oldest);
      return;
    }
  }
}
