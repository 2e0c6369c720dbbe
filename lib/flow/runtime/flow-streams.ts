import { CONTROL_STREAM, CONTROL_SUBJECTS, DEAD_STREAM, DEAD_SUBJECTS, FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { findStreamBySubject, provisionStream, type ProvisionMode } from '../../stream/provision.js';
import { streamNamesBySubject } from '../../stream/stream-inventory.js';
import { subjectCovers } from '../../stream/subject-pattern.js';
import type { FlowContract } from '../contract.js';

/** How long a repeated publish with a message id is recognised by the stream itself. */
const DUPLICATE_WINDOW_MS = 120_000;
const NANOS_PER_MS = 1_000_000;

/** How streams are stored and who may create them. What is left out is as the streams have it. */
export interface StreamSettings {
  readonly provision: ProvisionMode;
  /** New streams: file. */
  readonly storage?: 'file' | 'memory' | undefined;
  /** Copies in a cluster, 1 to 5; new streams: 1. */
  readonly replicas?: number | undefined;
  /** How long dead letters are kept, in milliseconds; a new stream: 30 days. */
  readonly deadLetterRetentionMs?: number | undefined;
}

const NEW_DEAD_LETTER_RETENTION_MS = 30 * 86_400_000;

/** Creates and checks the streams of flows. Every method may be called again and by many processes at once. */
export class FlowStreams {
  private readonly provisioned = new Map<string, Promise<void>>();

  constructor(
    private readonly connection: FlowConnection,
    private readonly settings: StreamSettings,
    private readonly log: Log,
  ) {}

  /**
   * The stream that holds all of a flow's runs. Made once per process; a failure is tried again by the next call.
   *
   * @throws ConfigurationError when it exists in a shape that cannot be changed.
   */
  provisionFlow(contract: FlowContract): Promise<void> {
    const names = new FlowNames(contract.name);
    return this.once(names.stream, () =>
      this.provision({
        name: names.stream,
        subjects: [names.allSubjects],
        // One message per run and step: what makes an advance idempotent for as long as the stream keeps it.
        max_msgs_per_subject: 1,
        max_age: contract.retentionMs * NANOS_PER_MS,
        duplicate_window: Math.min(DUPLICATE_WINDOW_MS, contract.retentionMs) * NANOS_PER_MS,
        // Whoever follows a run gets its stored record without a consumer of its own.
        republish: { src: names.runFilter, dest: names.runEventDestination },
      }),
    );
  }

  /** The streams that all flows share: dead letters, and pause requests. */
  async provisionShared(): Promise<void> {
    await Promise.all([
      this.once(DEAD_STREAM, () =>
        this.provision(
          {
            name: DEAD_STREAM,
            subjects: [...DEAD_SUBJECTS],
            max_msgs_per_subject: 1,
            max_age: this.deadLetterAge(),
            duplicate_window: DUPLICATE_WINDOW_MS * NANOS_PER_MS,
          },
          { max_age: NEW_DEAD_LETTER_RETENTION_MS * NANOS_PER_MS },
        ),
      ),
      this.once(CONTROL_STREAM, () =>
        this.provision({ name: CONTROL_STREAM, subjects: [CONTROL_SUBJECTS], max_msgs_per_subject: 1 }),
      ),
    ]);
  }

  /**
   * The streams that capture a flow's external subjects: those that are there, else one of our own for the rest.
   *
   * @param subjects all external subjects of the flow
   * @returns the stream of each subject
   */
  async provisionIngest(contract: FlowContract, subjects: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { ingestStream } = new FlowNames(contract.name);
    const streams = await this.findStreams(subjects, ingestStream);
    const ours = subjectsOf(streams, ingestStream);
    if (ours.length === 0) return streams;
    try {
      await this.provision({
        name: ingestStream,
        subjects: ours,
        max_age: contract.retentionMs * NANOS_PER_MS,
        duplicate_window: Math.min(DUPLICATE_WINDOW_MS, contract.retentionMs) * NANOS_PER_MS,
      });
      return streams;
    } catch (error) {
      // Another flow that listens to the same subjects may have made a stream for them meanwhile.
      const now = await this.findStreams(subjects, ingestStream);
      if (subjectsOf(now, ingestStream).length > 0) throw error;
      return now;
    }
  }

  private async findStreams(subjects: readonly string[], orElse: string): Promise<Map<string, string>> {
    const streams = new Map<string, string>();
    for (const subject of new Set(subjects)) {
      const names = await streamNamesBySubject(this.connection, subject);
      // A stream of our own may have a part of it, from before the pattern was widened: it takes the rest too.
      const known = names.every((name) => name === orElse)
        ? orElse
        : await findStreamBySubject(this.connection, subject);
      streams.set(subject, known ?? orElse);
    }
    return streams;
  }

  private once(stream: string, provision: () => Promise<void>): Promise<void> {
    let running = this.provisioned.get(stream);
    if (running === undefined) {
      running = provision().catch((error: unknown) => {
        this.provisioned.delete(stream);
        throw error;
      });
      this.provisioned.set(stream, running);
    }
    return running;
  }

  private deadLetterAge(): number | undefined {
    const { deadLetterRetentionMs } = this.settings;
    return deadLetterRetentionMs === undefined ? undefined : deadLetterRetentionMs * NANOS_PER_MS;
  }

  /** A process that asks for nothing in particular changes nothing of how a stream is stored. */
  private provision(shape: NamedShape, whenNew: Shape = {}): Promise<void> {
    const { provision, storage, replicas } = this.settings;
    const wanted = withoutUndefined({ retention: 'limits', discard: 'old', storage, num_replicas: replicas, ...shape });
    return provisionStream(this.connection, wanted, provision, this.log, {
      storage: 'file',
      num_replicas: 1,
      ...whenNew,
    });
  }
}

type NamedShape = Parameters<typeof provisionStream>[1];
type Shape = Partial<NamedShape>;

function withoutUndefined({ name, ...shape }: NamedShape): NamedShape {
  const fields: [string, unknown][] = Object.entries(shape);
  return { ...(Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as Shape), name };
}

/** The subjects of a stream, as few as cover all: the server does not take any twice. */
function subjectsOf(streams: ReadonlyMap<string, string>, stream: string): string[] {
  const subjects = [...streams].filter(([, of]) => of === stream).map(([subject]) => subject);
  const isCovered = (subject: string): boolean =>
    subjects.some((other) => other !== subject && subjectCovers(other, subject));
  return subjects.filter((subject) => !isCovered(subject)).sort();
}
