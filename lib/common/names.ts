/**
 * The one place where names become subjects, streams, consumers and headers, and where they are checked.
 * Users' names may not contain what NATS gives a meaning; run ids and keys may be any text and are escaped.
 */

/** Message headers the library writes and reads. Everything under `Flow-` is reserved. */
export const FlowHeader = {
  runId: 'Flow-Run-Id',
  /** What the run was started with as metadata, as a JSON object. */
  metadata: 'Flow-Metadata',
  /** Marks a slot taken by a step that returned nothing. */
  filtered: 'Flow-Filtered',
  /** Number of times the message was redriven from the dead letters. */
  redriven: 'Flow-Redriven',
  /** Redriven messages: stream, sequence and time of the one that died first. */
  origin: 'Flow-Origin',
  /** Redriven messages: the subject that the message first came with. */
  subject: 'Flow-Subject',
  /** KV entries: hashes of the idempotency keys applied lately. */
  applied: 'Flow-Applied',
  /** KV entries: when the keys of `Flow-Applied` were applied. */
  appliedAt: 'Flow-Applied-At',
  /** KV entries: the last commit of each process that wrote lately, and since when that list holds. */
  writers: 'Flow-Writers',
  /** KV entries: version of the schema the value was written with. */
  schemaVersion: 'Flow-Schema-Version',
} as const;

const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Whether `name` may name a flow, a step or a bucket. */
export function isValidName(name: string): boolean {
  return NAME.test(name);
}

/** What a valid name looks like, to end an error message with. */
export const NAME_RULE = 'use 1 to 64 letters, digits, "-" and "_"';

/** Longest run id, as a token: subjects go into lines of the protocol, which servers bound at 4,096 bytes. */
const LONGEST_RUN_ID = 512;

/** Why something cannot be a run id, as the end of a sentence; `undefined` when it can. */
export function runIdProblem(runId: unknown): string | undefined {
  if (typeof runId !== 'string') return `is no text but ${runId === null ? 'null' : `of type ${typeof runId}`}`;
  if (runId === '') return 'is empty';
  const { length } = escapeToken(runId);
  if (length <= LONGEST_RUN_ID) return undefined;
  return `is too long: ${length} characters as part of a subject, ${LONGEST_RUN_ID} fit`;
}

const UNSAFE = /[^A-Za-z0-9_/-]/gu;

/**
 * Any text as one token of a subject or of a KV key (which allow less than subjects do): letters, digits,
 * `_`, `-` and `/` stay, every other character becomes `=XX` of its UTF-8 bytes, the empty text `=`.
 * Reversed by {@link unescapeToken}.
 */
export function escapeToken(text: string): string {
  if (text === '') return '=';
  return text.replace(UNSAFE, (character) =>
    Array.from(Buffer.from(character, 'utf8'), (byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(
      '',
    ),
  );
}

/**
 * The text that {@link escapeToken} made `token` from.
 *
 * @throws URIError when the token is not one of ours.
 */
export function unescapeToken(token: string): string {
  return token === '=' ? '' : decodeURIComponent(token.replaceAll('=', '%'));
}

/** Subjects, streams and consumers of one flow. */
export class FlowNames {
  constructor(readonly flow: string) {}

  /** The stream that holds all of the flow's runs. */
  get stream(): string {
    return `FLOW_${this.flow}`;
  }

  /** All subjects of the flow's stream. */
  get allSubjects(): string {
    return `flow.${this.flow}.>`;
  }

  /** The stream that ingests the external entry subjects, when no existing stream captures them. */
  get ingestStream(): string {
    return `FLOW_${this.flow}_IN`;
  }

  /** Subject of one message of a run: `flow.<flow>.step.<step>.<runId>[.<index>]`. */
  stepSubject(step: string, runId: string, index: string): string {
    const base = `flow.${this.flow}.step.${step}.${escapeToken(runId)}`;
    return index === '' ? base : `${base}.${index}`;
  }

  /** Filter of all messages of a step. */
  stepFilter(step: string): string {
    return `flow.${this.flow}.step.${step}.>`;
  }

  /** Subject of the message that starts a run; a client does not need to know the flow's steps. */
  startSubject(runId: string): string {
    return `flow.${this.flow}.start.${escapeToken(runId)}`;
  }

  /** Filter of all starting messages. */
  get startFilter(): string {
    return `flow.${this.flow}.start.*`;
  }

  /** Subject of the recorded outcome of a step with several targets. */
  outcomeSubject(step: string, runId: string, index: string): string {
    const base = `flow.${this.flow}.outcome.${step}.${escapeToken(runId)}`;
    return index === '' ? base : `${base}.${index}`;
  }

  /** Subject of the run record. */
  runSubject(runId: string): string {
    return `flow.${this.flow}.run.${escapeToken(runId)}`;
  }

  /** Filter of all run records. */
  get runFilter(): string {
    return `flow.${this.flow}.run.>`;
  }

  /** Where the server repeats a run record after it was stored, outside the stream. */
  runEventSubject(runId: string): string {
    return `flow_event.${this.flow}.run.${escapeToken(runId)}`;
  }

  /** Destination of the stream's republish for {@link runFilter}. */
  get runEventDestination(): string {
    return `flow_event.${this.flow}.run.>`;
  }

  /** Subject of the request to cancel a run. */
  cancelSubject(runId: string): string {
    return `flow.${this.flow}.cancel.${escapeToken(runId)}`;
  }

  /** Filter of all cancel requests. */
  get cancelFilter(): string {
    return `flow.${this.flow}.cancel.*`;
  }

  /** Subject of how many deliveries of a message ended before its handler could begin: `flow.<flow>.unbegun.<step>.<stream>.<sequence>`. */
  unbegunSubject(step: string, stream: string, sequence: number): string {
    return `flow.${this.flow}.unbegun.${step}.${escapeToken(stream)}.${sequence}`;
  }

  /** Subject of a dead letter. */
  deadSubject(step: string, runId: string, index: string): string {
    const base = `flow.dead.${this.flow}.${step}.${escapeToken(runId)}`;
    return index === '' ? base : `${base}.${index}`;
  }

  /** Subject of the payload of a dead letter that cannot hold it. */
  deadPayloadSubject(step: string, runId: string, index: string): string {
    return this.deadSubject(step, runId, index).replace('flow.dead.', 'flow.dead_payload.');
  }

  /** Durable consumer of a step's own messages on the flow's stream. */
  stepConsumer(step: string): string {
    return `step_${step}`;
  }

  /**
   * Durable consumer of the runs started by clients. Not named after the step that accepts them, so that renaming that
   * step does not run every start again.
   */
  readonly startConsumer = 'start';

  /** Durable consumer of a step for one external subject, on whichever stream captures that. */
  ingestConsumer(step: string, subject: string): string {
    // Names cannot contain "=", so no two steps share a consumer.
    return `flow_${this.flow}=${step}=${escapeToken(subject).replaceAll('/', '=2F')}`;
  }
}

/** The stream of all dead letters. */
export const DEAD_STREAM = 'FLOW_DEAD';

/** All subjects of {@link DEAD_STREAM}: the letters, and payloads that did not fit into theirs. */
export const DEAD_SUBJECTS: readonly string[] = ['flow.dead.>', 'flow.dead_payload.>'];

/** The stream of pause requests; they outlive the flows' retention. */
export const CONTROL_STREAM = 'FLOW_CONTROL';

/** All subjects of {@link CONTROL_STREAM}. */
export const CONTROL_SUBJECTS = 'flow.control.>';

/** The stream whose messages tell the server's time. */
export const CLOCK_STREAM = 'FLOW_CLOCK';

/** The only subject of {@link CLOCK_STREAM}. */
export const CLOCK_SUBJECT = 'flow.clock';

/** What the buckets of coordination are named after. */
export type CoordinationKind =
  | 'limit'
  | 'shard'
  | 'rate'
  | 'throttler'
  | 'lock'
  | 'semaphore'
  | 'rwlock'
  | 'election'
  | 'waitgroup'
  | 'latch'
  | 'barrier'
  | 'counter'
  | 'ids';

/** The bucket of a named limiter, mutex …: `flow_lock_orders`. */
export function coordinationBucket(kind: CoordinationKind, name: string): string {
  return `flow_${kind}_${name}`;
}

/** Why a limiter, mutex … cannot have the name, as a sentence; `undefined` when it can. */
export function coordinationNameProblem(kind: CoordinationKind, name: string): string | undefined {
  if (isValidName(name) && isValidName(coordinationBucket(kind, name))) return undefined;
  return `"${name}" cannot be its name; use 1 to ${64 - coordinationBucket(kind, '').length} letters, digits, "-" and "_"`;
}

/** Subject by which processes tell each other that they lose against others at a key of a bucket. */
export function contendedSubject(bucket: string): string {
  return `flow_event.contended.${bucket}`;
}

/** Stands for all steps of a flow in {@link pauseSubject}. */
export const ALL_STEPS = '=';

/** Subject of the request to pause a step, or with {@link ALL_STEPS} the whole flow. */
export function pauseSubject(flow: string, step: string): string {
  return `flow.control.pause.${flow}.${step}`;
}

/** Filter of all {@link pauseSubject}s. */
export const PAUSE_FILTER = 'flow.control.pause.*.*';

/** Flow and step of a {@link pauseSubject}. */
export function pausedBy(subject: string): { readonly flow: string; readonly step: string } {
  const [, , , flow = '', step = ''] = subject.split('.');
  return { flow, step };
}

/** Filter of all dead letters, of one flow's, or of one step's. */
export function deadFilter(flow?: string, step?: string): string {
  return `flow.dead.${flow ?? '*'}.${step ?? '*'}.>`;
}

/** Flow names that would collide with the library's own subjects and streams; so would any that ends in `_IN`. */
export const RESERVED_FLOW_NAMES: readonly string[] = [
  'dead',
  'dead_payload',
  'DEAD',
  'control',
  'CONTROL',
  'clock',
  'CLOCK',
];
