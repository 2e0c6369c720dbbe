import { ALL_STEPS, CONTROL_STREAM, CONTROL_SUBJECTS, pauseSubject } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { StoredMessage } from '../../stream/stream-reader.js';
import { SubjectWatch } from '../../stream/subject-watch.js';

const PAUSED = new TextEncoder().encode('paused');
const RUNNING = new TextEncoder().encode('running');

/**
 * Which flows and steps are paused, by requests that every instance sees and that outlast restarts. A paused
 * step finishes what it has in hand and pulls nothing more.
 */
export class PauseControl {
  /** Subjects of what is paused. */
  private readonly paused = new Set<string>();
  private readonly listeners = new Set<() => void>();
  private watch: SubjectWatch | undefined;

  constructor(
    private readonly connection: FlowConnection,
    private readonly log: Log,
  ) {}

  /** Resolves when every request up to now is known. */
  async start(): Promise<void> {
    let caughtUp: () => void;
    const past = new Promise<void>((resolve) => (caughtUp = resolve));
    this.watch = await SubjectWatch.start(this.connection, {
      stream: CONTROL_STREAM,
      filter: CONTROL_SUBJECTS,
      from: 'all',
      onMessage: (message) => this.take(message),
      onCaughtUp: () => caughtUp(),
      onError: (error) => this.log.warn(`Watching pause requests: ${String(error)}`),
    });
    await past;
  }

  isPaused(flow: string, step: string): boolean {
    return this.paused.has(pauseSubject(flow, ALL_STEPS)) || this.paused.has(pauseSubject(flow, step));
  }

  /** Calls `listener` after every change. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  async stop(): Promise<void> {
    await this.watch?.stop();
  }

  private take(message: StoredMessage): void {
    if (Buffer.from(message.data).equals(PAUSED)) this.paused.add(message.subject);
    else this.paused.delete(message.subject);
    for (const listener of this.listeners) listener();
  }
}

/** Stores the request to pause or resume a step, or with no step the whole flow. */
export async function requestPause(
  connection: FlowConnection,
  flow: string,
  step: string | undefined,
  paused: boolean,
): Promise<void> {
  await connection.publisher.publish(pauseSubject(flow, step ?? ALL_STEPS), paused ? PAUSED : RUNNING);
}
