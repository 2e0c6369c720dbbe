import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { describeThrown } from '../../common/describe-thrown.js';
import { DecodeError, EncodeError, MessageTooLargeError } from '../../common/errors.js';
import type { Log } from '../../common/log.js';
import { DEAD_STREAM, type FlowNames } from '../../common/names.js';
import {
  DeadLetterSchema,
  HeaderSchema,
  type DeadLetter,
  type DeadReason,
  type Header,
} from '../../codec/gen/flow/v1/dead_letter_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { StoredMessage } from '../../stream/stored-message.js';
import { readLastBySubject } from '../../stream/stream-reader.js';
import { toError, toFailure } from '../runs/failure.js';
import { deathOf, markDead, settlementKey } from '../runs/run-record.js';
import type { RunStore } from '../runs/run-store.js';
import type { FirstRecord } from '../runtime/first-record.js';
import type { StepMessage } from '../runtime/step-message.js';
import { decodeLetter, identityOf, isOwnHeader, LEFT_OUT, type LetterOrigin } from './letter.js';

/** Header values beyond this are left out of a letter that is too large with them. */
const LONGEST_HEADER = 256;
const MOST_HEADERS = 64;
/** Texts of a failure that does not fit whole, and of one for which there is hardly any room. */
const SHORT_TEXT = 512;
const SHORTEST_TEXT = 32;
const NOTHING = new Uint8Array(0);

/** Writes what a step gave up into the dead letters, and marks its run as failed. */
export class DeadLetterWriter {
  constructor(
    private readonly connection: FlowConnection,
    private readonly names: FlowNames,
    /** `undefined` when the flow keeps no run records. */
    private readonly runs: RunStore | undefined,
    private readonly first: FirstRecord,
    private readonly instance: string,
    private readonly log: Log,
  ) {}

  /**
   * Stores the letter, then the run's failure. Both may be repeated for one message without harm. Only when
   * this has resolved may the message be acknowledged.
   */
  async write(step: string, message: StepMessage, reason: DeadReason, error: unknown): Promise<void> {
    await this.store(this.letterOf(step, message, reason, error), error);
    if (this.runs !== undefined) await this.recordFailure(this.runs, step, message, error);
  }

  /**
   * Whether an earlier delivery gave the message up: its letter is there, but its acknowledgement did not arrive. Makes sure that
   * the run's failure is stored as well.
   */
  async resume(step: string, message: StepMessage): Promise<boolean> {
    const subject = this.names.deadSubject(step, message.runId, message.index);
    const stored = await readLastBySubject(this.connection, DEAD_STREAM, subject);
    if (stored === undefined) return false;
    const letter = this.read(stored);
    if (letter === undefined || identityOf(letter) !== identityOf(originOf(message))) return false;
    const error = letter.failure && toError(letter.failure);
    if (this.runs !== undefined) await this.recordFailure(this.runs, step, message, error);
    return true;
  }

  /** What is no letter says nothing; a letter for the message will take its place. */
  private read(stored: StoredMessage): DeadLetter | undefined {
    try {
      return decodeLetter(stored);
    } catch (error) {
      this.log.warn(`Dead letter "${stored.subject}" is passed over: ${describeThrown(error)}`);
      return undefined;
    }
  }

  /**
   * The record holds the run's result and may have no room left, or not be ours to read. That must not bring the
   * message back for ever: the letter is stored.
   */
  private async recordFailure(runs: RunStore, step: string, message: StepMessage, error: unknown): Promise<void> {
    const { runId, index, delivery } = message;
    const key = settlementKey(step, index);
    const death = deathOf(key, delivery.stream, delivery.sequence);
    let unwritten: unknown;
    for (const failure of [toFailure(error), toFailure(error, SHORT_TEXT), toFailure(error, SHORTEST_TEXT)]) {
      try {
        await runs.update(
          runId,
          (run) => markDead(run, key, death, failure),
          () => this.first.of(message),
        );
        return;
      } catch (reason) {
        if (!(reason instanceof EncodeError) && !(reason instanceof DecodeError)) throw reason;
        unwritten = reason;
      }
    }
    this.log.error(
      `Run "${runId}": the dead letter of step "${step}" is stored, but the run's record does not say that it failed: ` +
        describeThrown(unwritten),
    );
  }

  private letterOf(step: string, message: StepMessage, reason: DeadReason, error: unknown): DeadLetter {
    const { delivery } = message;
    const headers = delivery.headers;
    return create(DeadLetterSchema, {
      flow: this.names.flow,
      step,
      runId: message.runId,
      index: message.index,
      reason,
      failure: toFailure(error),
      attempts: delivery.attempt,
      ...originOf(message),
      deadAt: timestampFromDate(new Date()),
      subject: delivery.subject,
      headers: headers?.keys().map((name) => create(HeaderSchema, { name, values: headers.values(name) })) ?? [],
      payload: delivery.data,
      instance: this.instance,
    });
  }

  /** A letter that the server finds too large is stored without its payload, which gets a message of its own. */
  private async store(letter: DeadLetter, error: unknown): Promise<void> {
    // One letter per delivered message, also when the acknowledgement was lost and it is written again.
    const messageId = `${identityOf(letter)}:${letter.step}`;
    let tooLarge = await this.publish(letter, messageId);
    if (tooLarge === undefined) return;
    const { publisher } = this.connection;
    const payloadSubject = this.names.deadPayloadSubject(letter.step, letter.runId, letter.index);
    // Without a message id: a payload as large as the server takes leaves no room for a header.
    await publisher.publish(payloadSubject, letter.payload);
    for (const smaller of smallerAndSmaller({ ...letter, payload: NOTHING, payloadApart: true }, error)) {
      tooLarge = await this.publish(smaller, messageId);
      if (tooLarge === undefined) return;
    }
    throw tooLarge;
  }

  /** @returns why the server does not take the letter, when it is its size. */
  private async publish(letter: DeadLetter, messageId: string): Promise<MessageTooLargeError | undefined> {
    const subject = this.names.deadSubject(letter.step, letter.runId, letter.index);
    try {
      await this.connection.publisher.publish(subject, toBinary(DeadLetterSchema, letter), { messageId });
      return undefined;
    } catch (error) {
      if (error instanceof MessageTooLargeError) return error;
      throw error;
    }
  }
}

function originOf({ delivery: { stream, sequence, time } }: StepMessage): LetterOrigin {
  return { stream, sequence: BigInt(sequence), publishedAt: timestampFromDate(time) };
}

/** Gives up more and more of what only people read; the last also the run's metadata, so that it cannot be redriven. */
function smallerAndSmaller(letter: DeadLetter, error: unknown): DeadLetter[] {
  const own = letter.headers.filter(isOwnHeader);
  const others = letter.headers.filter((header) => !isOwnHeader(header)).slice(0, MOST_HEADERS);
  const failure = toFailure(error, SHORTEST_TEXT);
  return [
    letter,
    { ...letter, headers: [...own, ...others.map(shorten)], failure: toFailure(error, SHORT_TEXT) },
    { ...letter, headers: own, failure },
    { ...letter, headers: own.map(shorten), failure },
  ];
}

function shorten({ name, values }: Header): Header {
  const [value = '', ...more] = values;
  const left = value.length > LONGEST_HEADER || more.length > 0;
  return create(HeaderSchema, { name, values: [left ? LEFT_OUT : value] });
}
