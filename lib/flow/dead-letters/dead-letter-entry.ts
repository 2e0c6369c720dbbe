import { timestampDate } from '@bufbuild/protobuf/wkt';
import { DeadReason, type DeadLetter } from '../../codec/gen/flow/v1/dead_letter_pb.js';
import type { StoredMessage } from '../../stream/stored-message.js';

/** Why a message lies in the dead letters. */
export type DeadLetterReason =
  | 'attempts-exhausted'
  | 'terminal'
  | 'undecodable'
  | 'deliveries-exhausted'
  | 'undeliverable-result'
  | 'retention-exceeded'
  | 'unknown';

const REASONS = new Map<DeadReason, DeadLetterReason>([
  [DeadReason.UNSPECIFIED, 'unknown'],
  [DeadReason.ATTEMPTS_EXHAUSTED, 'attempts-exhausted'],
  [DeadReason.TERMINAL, 'terminal'],
  [DeadReason.UNDECODABLE, 'undecodable'],
  [DeadReason.DELIVERIES_EXHAUSTED, 'deliveries-exhausted'],
  [DeadReason.UNDELIVERABLE_RESULT, 'undeliverable-result'],
  [DeadReason.RETENTION_EXCEEDED, 'retention-exceeded'],
]);

/** A reason by its name in letters and in the log. */
export function reasonName(reason: DeadReason): DeadLetterReason {
  return REASONS.get(reason) ?? 'unknown';
}

/** The error that sent a message to the dead letters. */
export interface DeadLetterError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly stack: string;
  /** The errors that led to it, outermost first. */
  readonly causes: readonly string[];
}

/** A message that a step gave up. */
export interface DeadLetterEntry {
  /** Identifies the letter: flow, step, run and index. */
  readonly id: string;
  readonly flow: string;
  readonly step: string;
  readonly runId: string;
  readonly index: string;
  readonly reason: DeadLetterReason;
  readonly error: DeadLetterError;
  /** How often the message was delivered. */
  readonly attempts: number;
  /** When the message was published. */
  readonly publishedAt: Date;
  /** When the step gave it up. */
  readonly deadAt: Date;
  /** The message's own subject, stream and sequence. */
  readonly subject: string;
  readonly stream: string;
  readonly sequence: number;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The message's bytes, as they were delivered; absent when the letter was redriven or discarded just now. */
  readonly payload?: Uint8Array;
  /** The process that gave it up. */
  readonly instance: string;
}

/** A letter as people and programs read it. */
export function toEntry(
  id: string,
  message: StoredMessage,
  letter: DeadLetter,
  payload: Uint8Array | undefined,
): DeadLetterEntry {
  const { failure } = letter;
  return {
    id,
    flow: letter.flow,
    step: letter.step,
    runId: letter.runId,
    index: letter.index,
    reason: reasonName(letter.reason),
    error: {
      name: failure?.name ?? '',
      code: failure?.code ?? '',
      message: failure?.message ?? '',
      stack: failure?.stack ?? '',
      causes: failure?.causes ?? [],
    },
    attempts: letter.attempts,
    publishedAt: letter.publishedAt === undefined ? message.time : timestampDate(letter.publishedAt),
    deadAt: letter.deadAt === undefined ? message.time : timestampDate(letter.deadAt),
    subject: letter.subject,
    stream: letter.stream,
    sequence: Number(letter.sequence),
    headers: new Map(letter.headers.map((header) => [header.name, header.values])),
    ...(payload !== undefined && { payload }),
    instance: letter.instance,
  };
}
