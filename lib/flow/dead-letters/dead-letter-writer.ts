import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { MessageTooLargeError } from '../../common/errors.js';
import type { FlowNames } from '../../common/names.js';
import {
  DeadLetterSchema,
  HeaderSchema,
  type DeadLetter,
  type DeadReason,
} from '../../codec/gen/flow/v1/dead_letter_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { toFailure } from '../runs/failure.js';
import { markDead, newRun, settlementKey } from '../runs/run-record.js';
import type { RunStore } from '../runs/run-store.js';
import type { StepMessage } from '../runtime/step-message.js';

/** Writes what a step gave up into the dead letters, and marks its run as failed. */
export class DeadLetterWriter {
  constructor(
    private readonly connection: FlowConnection,
    private readonly names: FlowNames,
    /** `undefined` when the flow keeps no run records. */
    private readonly runs: RunStore | undefined,
    private readonly instance: string,
  ) {}

  /**
   * Stores the letter, then the run's failure. Both may be repeated for one message without harm. Only when
   * this has resolved may the message be acknowledged.
   */
  async write(step: string, message: StepMessage, reason: DeadReason, error: unknown): Promise<void> {
    const letter = this.letterOf(step, message, reason, error);
    await this.store(letter, message);
    await this.runs?.update(
      message.runId,
      (run) => markDead(run, settlementKey(step, message.index), toFailure(error)),
      () => newRun(this.names.flow, message.runId, message.delivery.time.getTime(), message.metadata),
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

  private async store(letter: DeadLetter, message: StepMessage): Promise<void> {
    const subject = this.names.deadSubject(letter.step, letter.runId, letter.index);
    // One letter per delivered message, also when the acknowledgement was lost and it is written again.
    const messageId = `${letter.stream}:${letter.sequence}:${letter.step}`;
    try {
      await this.connection.publisher.publish(subject, toBinary(DeadLetterSchema, letter), { messageId });
    } catch (error) {
      if (!(error instanceof MessageTooLargeError) || message.delivery.data.length === 0) throw error;
      letter.payload = new Uint8Array(0);
      letter.payloadInStream = true;
      await this.connection.publisher.publish(subject, toBinary(DeadLetterSchema, letter), { messageId });
    }
  }
}
