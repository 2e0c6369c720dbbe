import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { DeadLetter } from '../../codec/gen/flow/v1/dead_letter_pb.js';
import { ConflictError, EncodeError } from '../../common/errors.js';
import { FlowHeader, FlowNames } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { readLastBySubject, type StoredMessage } from '../../stream/stream-reader.js';
import { isTraceHeader } from '../../telemetry/propagation.js';
import type { MessageSender, OutgoingMessage } from '../runtime/message-sender.js';
import { headerOf, identityOf, isOwnHeader, LEFT_OUT } from './letter.js';

/** Puts a dead message into its step's place once, however many callers want it and however often. */
export class Redrive {
  constructor(
    private readonly connection: FlowConnection,
    private readonly sender: MessageSender,
  ) {}

  /**
   * Resolves when the message is stored, by this call or an earlier one.
   *
   * @param id of the letter, for errors
   * @throws ConflictError when another message of the run is in its place; EncodeError when the message cannot be
   * sent as it was.
   */
  async send(id: string, letter: DeadLetter, payload: Uint8Array): Promise<void> {
    const { stream, stepSubject } = placeOf(letter);
    const origin = headerOf(letter, FlowHeader.origin) ?? identityOf(letter);
    const times = Number(headerOf(letter, FlowHeader.redriven) ?? 0) + 1;
    const message = this.messageOf(id, letter, payload, origin, times);
    for (;;) {
      const place = await readLastBySubject(this.connection, stream, stepSubject);
      if (place !== undefined && isSent(place, origin, times)) return;
      if (place !== undefined && !isDead(place, letter)) throw taken(id, letter, place);
      if (await this.sender.send({ ...message, replaces: place?.sequence ?? 0 })) return;
      // Somebody was faster: look whether with the same message.
    }
  }

  private messageOf(
    id: string,
    letter: DeadLetter,
    data: Uint8Array,
    origin: string,
    times: number,
  ): Omit<OutgoingMessage, 'replaces'> {
    const { stepSubject } = placeOf(letter);
    const metadata = headerOf(letter, FlowHeader.metadata);
    if (metadata === LEFT_OUT) {
      throw new EncodeError(
        `Dead letter "${id}" cannot be redriven: its run's metadata did not fit into it. Start a run with its payload.`,
      );
    }
    const firstSubject = headerOf(letter, FlowHeader.subject) ?? letter.subject;
    return {
      subject: stepSubject,
      destination: `flow.${letter.flow}.step.${letter.step}`,
      data,
      metadata,
      headers: [
        [FlowHeader.redriven, String(times)],
        [FlowHeader.origin, origin],
        ...(firstSubject === stepSubject ? [] : [[FlowHeader.subject, firstSubject] as const]),
        ...keptHeaders(letter),
      ],
    };
  }
}

function placeOf({ flow, step, runId, index }: DeadLetter): { stream: string; stepSubject: string } {
  const names = new FlowNames(flow);
  return { stream: names.stream, stepSubject: names.stepSubject(step, runId, index) };
}

/** The sender's headers. The server's are about the publish; the trace is the one of whoever redrives. */
function keptHeaders({ headers }: DeadLetter): (readonly [string, string])[] {
  return headers
    .filter((header) => !header.name.startsWith('Nats-') && !isTraceHeader(header.name))
    .filter((header) => !isOwnHeader(header) || header.name === FlowHeader.runId)
    .flatMap(({ name, values }) => values.map((value) => [name, value] as const))
    .filter(([, value]) => value !== LEFT_OUT);
}

/** Whether the letter was redriven before, by somebody else or by a call that was cut short. */
function isSent({ headers }: StoredMessage, origin: string, times: number): boolean {
  return headers?.get(FlowHeader.origin) === origin && Number(headers.get(FlowHeader.redriven)) >= times;
}

/** Whether the message in the place is the one that died. */
function isDead(place: StoredMessage, letter: DeadLetter): boolean {
  if (place.subject !== letter.subject || BigInt(place.sequence) !== letter.sequence) return false;
  // In a stream that was made anew another message may have its sequence. A delivery tells its time less exactly.
  return letter.publishedAt === undefined || Math.abs(timestampMs(letter.publishedAt) - place.time.getTime()) <= 1;
}

function taken(id: string, { runId }: DeadLetter, place: StoredMessage): ConflictError {
  return new ConflictError(
    `Dead letter "${id}" cannot be redriven: step and run already have another message, stored at ` +
      `${place.time.toISOString()} under "${place.subject}". Start a run of another id than "${runId}" with its payload, or ` +
      'discard it.',
  );
}
