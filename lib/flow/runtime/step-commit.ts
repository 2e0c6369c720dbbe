import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { DecodeError } from '../../common/errors.js';
import { FlowHeader, type FlowNames } from '../../common/names.js';
import { OutcomeSchema, StepRecordSchema, type Outcome, type StepRecord } from '../../codec/gen/flow/v1/run_pb.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { readLastBySubject, type StoredMessage } from '../../stream/stream-reader.js';
import type { FlowContract } from '../contract.js';
import { selectRoutes } from '../graph/select-routes.js';
import type { StepNode } from '../graph/step-node.js';
import { hasSettled, settle, settlementKey, type Settlement } from '../runs/run-record.js';
import type { RunStore } from '../runs/run-store.js';
import { shapeOf, targetOf, type Target } from './emission.js';
import type { FirstRecord } from './first-record.js';
import type { MessageSender } from './message-sender.js';
import { metadataHeader, type StepMessage } from './step-message.js';

const NOTHING = new Uint8Array(0);

/** One handler that returned, about to take effect. */
export interface Completion {
  readonly node: StepNode;
  readonly message: StepMessage;
  /** What the handler returned; `undefined` ends this branch of the run. */
  readonly value: unknown;
  readonly startedAtMs: number;
}

/**
 * Makes a step's result take effect once, with writes that each succeed once and in an order that can be
 * taken up anywhere: first the decision, then the run record, then what the decision sends. The message is
 * acknowledged after all of it, so whoever gets it again after a crash finds the decision and follows it.
 *
 * The decision stands where repetitions collide: in the one successor's message (expected sequence 0 of its
 * subject), or, with several successors, in an outcome stored beside it.
 */
export class StepCommit {
  private readonly tracked: boolean;

  constructor(
    private readonly connection: FlowConnection,
    private readonly contract: FlowContract,
    private readonly names: FlowNames,
    private readonly runs: RunStore,
    private readonly sender: MessageSender,
    private readonly first: FirstRecord,
  ) {
    this.tracked = contract.track !== 'none';
  }

  /**
   * Stores and sends what follows from a completion.
   *
   * @throws EncodeError when the value is not of the step's output type, MessageTooLargeError when the server
   * does not take it; PublishTimeoutError or ConnectionError when the server is gone.
   */
  commit(completion: Completion): Promise<unknown> {
    switch (shapeOf(completion.node)) {
      case 'end':
        return this.commitEnd(completion);
      case 'single':
        return this.commitSingle(completion);
      case 'several':
        return this.commitSeveral(completion);
    }
  }

  /**
   * Follows what an earlier delivery of the message decided.
   *
   * @returns `false` when none came that far, so that the handler has to run.
   */
  resume(node: StepNode, message: StepMessage): Promise<boolean> {
    switch (shapeOf(node)) {
      case 'end':
        return this.isSettledAlready(node, message);
      case 'single':
        return this.resumeSingle(node, message);
      case 'several':
        return this.resumeSeveral(node, message);
    }
  }

  private async commitEnd({ node, message, value, startedAtMs }: Completion): Promise<void> {
    if (!this.tracked) return;
    const { outputCodec } = node;
    const output =
      value === undefined ? undefined : { data: outputCodec.encode(value), contentType: outputCodec.contentType };
    await this.settle(node, message, -1, startedAtMs, output);
  }

  private async isSettledAlready(node: StepNode, message: StepMessage): Promise<boolean> {
    if (!this.tracked) return false;
    const run = await this.runs.read(message.runId);
    // That the run has completed says nothing of this message: it may be one that comes to a further entry.
    return run !== undefined && hasSettled(run, settlementKey(node.name, message.index));
  }

  private commitSingle(completion: Completion): Promise<unknown> {
    const { node, message, value } = completion;
    if (this.tracked) return this.commitSingleTracked(completion);
    // Without a run record nobody waits for the branch to end, so its end needs no place.
    if (value === undefined) return Promise.resolve();
    return this.send(onlyTarget(node, message), message, node.outputCodec.encode(value), false);
  }

  private async commitSingleTracked({ node, message, value, startedAtMs }: Completion): Promise<void> {
    const target = onlyTarget(node, message);
    const filtered = value === undefined;
    const payload = filtered ? NOTHING : node.outputCodec.encode(value);
    const stored = await this.send(target, message, payload, filtered);
    const ended = stored ? filtered : await this.isTakenByNothing(target, message);
    await this.settle(node, message, ended ? -1 : 0, startedAtMs);
  }

  private async resumeSingle(node: StepNode, message: StepMessage): Promise<boolean> {
    const taken = await this.readPlace(onlyTarget(node, message), message);
    if (taken === undefined) return false;
    await this.settle(node, message, taken.filtered ? -1 : 0, Date.now());
    return true;
  }

  private async isTakenByNothing(target: Target, message: StepMessage): Promise<boolean> {
    return (await this.readPlace(target, message))?.filtered ?? false;
  }

  private async readPlace(target: Target, message: StepMessage): Promise<{ filtered: boolean } | undefined> {
    const subject = this.names.stepSubject(target.step, message.runId, target.index);
    const stored = await readLastBySubject(this.connection, this.names.stream, subject);
    if (stored === undefined) return undefined;
    return { filtered: stored.headers !== undefined && stored.headers.get(FlowHeader.filtered) !== '' };
  }

  private async commitSeveral(completion: Completion): Promise<void> {
    const { node, message, value } = completion;
    const targets =
      value === undefined ? [] : selectRoutes(node, value).map((route) => targetOf(node, route, message.index));
    if (targets.length === 0 && !this.tracked) return;
    const outcome = create(OutcomeSchema, {
      targets: targets.map(({ step, index }) => ({ step, index })),
      payload: targets.length === 0 ? NOTHING : node.outputCodec.encode(value),
      contentType: node.outputCodec.contentType,
    });
    const subject = this.names.outcomeSubject(node.name, message.runId, message.index);
    const destination = `flow.${this.contract.name}.outcome.${node.name}`;
    const stored = await this.sender.send({
      subject,
      destination,
      data: toBinary(OutcomeSchema, outcome),
      // As in the messages to come: if one of those would be too large, then this is, and nothing is decided yet.
      metadata: metadataHeader(message.metadata),
    });
    await this.follow(completion, stored ? outcome : ((await this.readOutcome(node, message)) ?? outcome));
  }

  private async resumeSeveral(node: StepNode, message: StepMessage): Promise<boolean> {
    const outcome = await this.readOutcome(node, message);
    if (outcome === undefined) return false;
    await this.follow({ node, message, startedAtMs: Date.now() }, outcome);
    return true;
  }

  private async readOutcome(node: StepNode, message: StepMessage): Promise<Outcome | undefined> {
    const subject = this.names.outcomeSubject(node.name, message.runId, message.index);
    const stored = await readLastBySubject(this.connection, this.names.stream, subject);
    return stored && decodeOutcome(stored);
  }

  /** The record comes before the messages: a branch must be counted before it can end. */
  private async follow(completion: Omit<Completion, 'value'>, outcome: Outcome): Promise<void> {
    const { node, message, startedAtMs } = completion;
    if (this.tracked) await this.settle(node, message, outcome.targets.length - 1, startedAtMs);
    await Promise.all(outcome.targets.map((target) => this.send(target, message, outcome.payload, false)));
  }

  private send(target: Target, message: StepMessage, payload: Uint8Array, filtered: boolean): Promise<boolean> {
    return this.sender.send({
      subject: this.names.stepSubject(target.step, message.runId, target.index),
      destination: `flow.${this.contract.name}.step.${target.step}`,
      data: payload,
      metadata: metadataHeader(message.metadata),
      filtered,
    });
  }

  private async settle(
    node: StepNode,
    message: StepMessage,
    delta: number,
    startedAtMs: number,
    output?: Settlement['output'],
  ): Promise<void> {
    const step = this.contract.track === 'step' ? stepRecord(node, message, startedAtMs) : undefined;
    if (delta === 0 && output === undefined && step === undefined) return;
    const settlement: Settlement = { key: settlementKey(node.name, message.index), delta, output, step };
    await this.runs.update(
      message.runId,
      (run) => settle(run, settlement, Date.now()),
      () => this.first.of(message),
    );
  }
}

function decodeOutcome({ data, subject }: StoredMessage): Outcome {
  try {
    return fromBinary(OutcomeSchema, data);
  } catch (error) {
    throw new DecodeError(`"${subject}" does not hold a flow.v1.Outcome; was it written by another program?`, {
      cause: error,
    });
  }
}

function onlyTarget(node: StepNode, message: StepMessage): Target {
  const [route] = node.routes;
  if (route === undefined) throw new Error(`Step "${node.name}" has no successor`);
  return targetOf(node, route, message.index);
}

function stepRecord(node: StepNode, message: StepMessage, startedAtMs: number): StepRecord {
  return create(StepRecordSchema, {
    step: node.name,
    index: message.index,
    attempt: message.delivery.attempt,
    startedAt: timestampFromMs(startedAtMs),
    finishedAt: timestampFromDate(new Date()),
    result: 'completed',
  });
}
