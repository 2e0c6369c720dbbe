import { DecodeError, EncodeError } from '../../common/errors.js';
import { FlowHeader, runIdProblem, unescapeToken } from '../../common/names.js';
import type { Delivery } from '../../stream/delivery.js';
import type { FlowMessage } from '../flow-context.js';
import type { StepNode } from '../graph/step-node.js';

/** Where a step's message came from: another step, a client's start, or an external subject. */
export type MessageSource = 'step' | 'start' | 'ingest';

/** The handler's input, or why there is none. */
export type StepInput = { readonly value: unknown } | { readonly error: unknown };

/** One delivered message of a step, with what identifies it in its run. */
export interface StepMessage {
  readonly delivery: Delivery;
  readonly source: MessageSource;
  readonly runId: string;
  /** Place in the run beside the step: empty in a line, one token per merge or scatter passed. */
  readonly index: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The step before returned nothing; the message only holds the place. */
  readonly filtered: boolean;
  readonly input: StepInput;
}

/** Every message of a run carries its metadata beside its payload. */
const LONGEST_METADATA = 16_384;
const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

/** Reads a delivered message. Never throws: what cannot be read is an `error` input, under a name that exists. */
export function openMessage(delivery: Delivery, source: MessageSource, node: StepNode): StepMessage {
  const headers = delivery.headers;
  const filtered = source === 'step' && headers !== undefined && headers.get(FlowHeader.filtered) !== '';
  let metadata = NO_METADATA;
  let input: StepInput;
  let place = fallbackPlace(delivery);
  try {
    if (source !== 'ingest') place = placeOf(delivery.subject, source);
    if (headers !== undefined) metadata = readMetadata(headers.get(FlowHeader.metadata));
    const value = filtered ? undefined : node.inputCodec.decode(delivery.data);
    if (source === 'ingest') place = { runId: ingestedRunId(delivery, node, value), index: '' };
    input = { value };
  } catch (error) {
    input = { error };
  }
  return { delivery, source, runId: place.runId, index: place.index, metadata, filtered, input };
}

interface Place {
  readonly runId: string;
  readonly index: string;
}

/** The run and the place in it, from `flow.<flow>.start.<runId>` or `flow.<flow>.step.<step>.<runId>[.<index>]`. */
function placeOf(subject: string, source: 'start' | 'step'): Place {
  const tokens = subject.split('.');
  const at = source === 'start' ? 3 : 4;
  return { runId: unescapeToken(tokens[at] ?? ''), index: tokens.slice(at + 1).join('.') };
}

/** A name every message has, the same at each redelivery. */
function fallbackPlace(delivery: Delivery): Place {
  const given = givenRunId(delivery);
  const usable = given !== '' && runIdProblem(given) === undefined;
  return { runId: usable ? given : `${delivery.stream}-${delivery.sequence}`, index: '' };
}

function givenRunId({ headers }: Delivery): string {
  return headers === undefined ? '' : headers.get(FlowHeader.runId) || headers.get('Nats-Msg-Id');
}

/** The step's own choice; else what the sender chose; else stream and sequence. */
function ingestedRunId(delivery: Delivery, node: StepNode, input: unknown): string {
  const given = node.runId === undefined ? givenRunId(delivery) : node.runId(input, toFlowMessage(delivery, 'ingest'));
  if (given === '' && node.runId === undefined) return fallbackPlace(delivery).runId;
  const problem = runIdProblem(given);
  if (problem === undefined) return given;
  const giver = node.runId === undefined ? 'the message names' : '"runId" gives';
  throw new DecodeError(`The run id that ${giver} ${problem}`);
}

/** The message as a handler sees it: under the subject it first came with, also when it was redriven. */
export function toFlowMessage(delivery: Delivery, source: MessageSource): FlowMessage {
  const firstSubject = source === 'step' && delivery.headers?.get(FlowHeader.subject);
  return {
    subject: firstSubject || delivery.subject,
    data: delivery.data,
    stream: delivery.stream,
    sequence: delivery.sequence,
    publishedAt: delivery.time,
  };
}

function readMetadata(text: string): Readonly<Record<string, string>> {
  if (text === '') return NO_METADATA;
  if (text.length > LONGEST_METADATA) throw new DecodeError(metadataTooLong(text.length));
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new DecodeError(`Header ${FlowHeader.metadata} is not JSON`, { cause: error });
  }
  if (
    typeof parsed !== 'object' ||
    parsed === null ||
    Object.values(parsed).some((value) => typeof value !== 'string')
  ) {
    throw new DecodeError(`Header ${FlowHeader.metadata} is not a JSON object of strings`);
  }
  return parsed as Record<string, string>;
}

/**
 * Header text of a run's metadata, or `undefined` when there is none.
 *
 * @throws EncodeError when it is too long.
 */
export function metadataHeader(metadata: Readonly<Record<string, string>>): string | undefined {
  if (Object.keys(metadata).length === 0) return undefined;
  const text = JSON.stringify(metadata);
  if (text.length > LONGEST_METADATA) throw new EncodeError(metadataTooLong(text.length));
  return text;
}

function metadataTooLong(length: number): string {
  return `The metadata of a run is ${length} characters long as JSON, ${LONGEST_METADATA} fit; send a reference instead.`;
}
