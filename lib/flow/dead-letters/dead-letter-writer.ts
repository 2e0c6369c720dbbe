import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { MessageTooLargeError } from '../../common/errors.js';
import type { FlowNames } from '../../common/names.js';
import {
  DeadLetterSchema,
  HeaderSchema,
  type DeadLetter,
  type DeadReason,
  type Header,
} from '../../codec/gen/flow/v1/dead_letter_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { toFailure } from '../runs/failure.js';
import { deathOf, markDead, settlementKey } from '../runs/run-record.js';
import type { RunStore } from '../runs/run-store.js';
import type { FirstRecord } from '../runtime/first-record.js';
import type { StepMessage } from '../runtime/step-message.js';

/** Header values beyond this are left out of a letter that is too large with them. */
const LONGEST_HEADER = 256;
const MOST_HEADERS = 64;
/** Texts of the failure in such a letter. */
const SHORT_TEXT = 512;
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
  ) {}

  /**
   * Stores the letter, then the run's failure. Both may be repeated for one message without harm. Only when
   * this has resolved may the message be acknowledged.
   */
  async write(step: string, message: StepMessage, reason: DeadReason, error: unknown): Promise<void> {
    await this.store(this.letterOf(step, message, reason, error), error);
    const key = settlementKey(step, message.index);
    const death = deathOf(key, message.delivery.stream, message.delivery.sequence);
    await this.runs?.update(
      message.runId,
      (run) => markDead(run, key, death, toFailure(error)),
      () => this.first.of(message),
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
      publishedAt: timestampFromDate(delivery.time),
      deadAt: timestampFromDate(new Date()),
      subject: delivery.subject,
      stream: delivery.stream,
      sequence: BigInt(delivery.sequence),
      headers: headers?.keys().map((name) => create(HeaderSchema, { name, values: headers.values(name) })) ?? [],
      payload: delivery.data,
      instance: this.instance,
    });
  }

  /** A letter that the server finds too large is stored without its payload, which gets a message of its own. */
  private async store(letter: DeadLetter, error: unknown): Promise<void> {
    // One letter per delivered message, also when the acknowledgement was lost and it is written again.
    const messageId = `${letter.stream}:${letter.sequence}:${letter.step}`;
    if (await this.fits(letter, messageId)) return;
    const { publisher } = this.connection;
    const payloadSubject = this.names.deadPayloadSubject(letter.step, letter.runId, letter.index);
    // Without a message id: a payload as large as the server takes leaves no room for a header.
    await publisher.publish(payloadSubject, letter.payload);
    const apart: DeadLetter = { ...letter, payload: NOTHING, payloadApart: true };
    if (await this.fits(apart, messageId)) return;
    const headers = letter.headers.slice(0, MOST_HEADERS).map(shorten);
    const cut = { ...apart, headers, failure: toFailure(error, SHORT_TEXT) };
    await this.publish(cut, messageId);
  }

  private async fits(letter: DeadLetter, messageId: string): Promise<boolean> {
    try {
      await this.publish(letter, messageId);
      return true;
    } catch (error) {
      if (error instanceof MessageTooLargeError) return false;
      throw error;
    }
  }

  private publish(letter: DeadLetter, messageId: string): Promise<unknown> {
    const subject = this.names.deadSubject(letter.step, letter.runId, letter.index);
    return this.connection.publisher.publish(subject, toBinary(DeadLetterSchema, letter), { messageId });
  }
}

function shorten({ name, values }: Header): Header {
  const [value = '', ...more] = values;
  const left = value.length > LONGEST_HEADER || more.length > 0;
  return create(HeaderSchema, { name, values: [left ? '(left out: too long)' : value] });
}
