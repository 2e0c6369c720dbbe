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
import { listMessages, type StoredMessage } from '../../stream/stream-reader.js';
import type { SubjectWatch } from '../../stream/subject-watch.js';
import { followFromStart } from './follow-from-start.js';

const PAUSED = new TextEncoder().encode('paused');
const NOTHING: ReadonlySet<string> = new Set();
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
    const paused = this.pausesOf(flow);
    return paused.has(ALL_STEPS) || paused.has(step);
  }

  /** What is paused of a flow by name: steps, whether or not it has them, and {@link ALL_STEPS}. */
  pausesOf(flow: string): ReadonlySet<string> {
    return this.paused.get(flow) ?? NOTHING;
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
    if (isPause(message)) paused.add(step);
    else paused.delete(step);
    for (const listener of this.listeners) listener();
  }
}

function isPause({ data }: StoredMessage): boolean {
  return Buffer.from(data).equals(PAUSED);
}

/** A flow or step that is paused. */
export interface Pause {
  readonly flow: string;
  /** Absent when the whole flow is paused. */
  readonly step?: string;
  /** When it was paused last. */
  readonly since: Date;
}

/** What is paused now of all flows, by what their streams' leader has. */
export async function listPauses(connection: FlowConnection): Promise<Pause[]> {
  const pauses: Pause[] = [];
  for await (const message of listMessages(connection, CONTROL_STREAM, PAUSE_FILTER)) {
    if (!isPause(message)) continue;
    const { flow, step } = pausedBy(message.subject);
    pauses.push({ flow, ...(step !== ALL_STEPS && { step }), since: message.time });
  }
  return pauses;
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
