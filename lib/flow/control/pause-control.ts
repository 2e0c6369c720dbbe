import { ConfigurationError } from '../../common/errors.js';
import {
  ALL_STEPS,
  CONTROL_STREAM,
  isValidName,
  NAME_RULE,
  PAUSE_FILTER,
  pausedBy,
  pauseSubject,
} from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { StoredMessage } from '../../stream/stream-reader.js';
import type { SubjectWatch } from '../../stream/subject-watch.js';
import { followFromStart } from './follow-from-start.js';

const PAUSED = new TextEncoder().encode('paused');
const RUNNING = new TextEncoder().encode('running');

/**
 * Which flows and steps are paused, by requests that every instance sees and that outlast restarts. A paused
 * step finishes what it has in hand and pulls nothing more.
 */
export class PauseControl {
  /** The paused steps of each flow, {@link ALL_STEPS} among them. */
  private readonly paused = new Map<string, Set<string>>();
  private readonly listeners = new Set<() => void>();
  private watch: SubjectWatch | undefined;

  constructor(
    private readonly connection: FlowConnection,
    private readonly log: Log,
  ) {}

  /**
   * Resolves when every request up to now is known.
   *
   * @throws ConnectionError when the connection is closed for good before that
   */
  async start(): Promise<void> {
    this.watch = await followFromStart(this.connection, {
      stream: CONTROL_STREAM,
      filter: PAUSE_FILTER,
      onMessage: (message) => this.take(message),
      onError: (error) => this.log.warn(`Watching pause requests: ${String(error)}`),
    });
  }

  isPaused(flow: string, step: string): boolean {
    const paused = this.paused.get(flow);
    return paused !== undefined && (paused.has(ALL_STEPS) || paused.has(step));
  }

  /** The steps of a flow that are paused by name, whether or not it has them. */
  pausedSteps(flow: string): string[] {
    return [...(this.paused.get(flow) ?? [])].filter((step) => step !== ALL_STEPS);
  }

  /** Calls `listener` after every change. */
  onChange(listener: () => void): void {
    this.listeners.add(listener);
  }

  async stop(): Promise<void> {
    await this.watch?.stop();
  }

  private take(message: StoredMessage): void {
    const { flow, step } = pausedBy(message.subject);
    const paused = this.paused.get(flow) ?? new Set();
    this.paused.set(flow, paused);
    if (Buffer.from(message.data).equals(PAUSED)) paused.add(step);
    else paused.delete(step);
    for (const listener of this.listeners) listener();
  }
}

/** A message that pauses or resumes. */
export interface PauseRequest {
  readonly subject: string;
  readonly data: Uint8Array;
}

/**
 * The request to pause or resume a step, or with no step the whole flow.
 *
 * @throws ConfigurationError when `step` cannot be the name of one.
 */
export function pauseRequest(flow: string, step: string | undefined, paused: boolean): PauseRequest {
  if (step !== undefined && !isValidName(step)) {
    throw new ConfigurationError(`${paused ? 'Pausing' : 'Resuming'} flow "${flow}"`, [
      `"${step}" is no name of a step: ${NAME_RULE}.`,
    ]);
  }
  return { subject: pauseSubject(flow, step ?? ALL_STEPS), data: paused ? PAUSED : RUNNING };
}
