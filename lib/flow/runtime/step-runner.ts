import type { Span } from '@opentelemetry/api';
import { DecodeError, DeliveriesExhaustedError, EncodeError, FlowError, ShutdownError } from '../../common/errors.js';
import { describeThrown, textOf } from '../../common/describe-thrown.js';
import { FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import { DeadReason } from '../../codec/gen/flow/v1/dead_letter_pb.js';
import { runWithLogFields } from '../../telemetry/log-context.js';
import type { FlowMeter, StepMeter } from '../../telemetry/metrics.js';
import { recordError, type FlowTracer } from '../../telemetry/tracer.js';
import type { Delivery } from '../../stream/delivery.js';
import type { FlowContract } from '../contract.js';
import type { CancelledRuns } from '../control/cancelled-runs.js';
import { reasonName } from '../dead-letters/dead-letter-entry.js';
import type { DeadLetterWriter } from '../dead-letters/dead-letter-writer.js';
import type { StepNode } from '../graph/step-node.js';
import type { RunStore } from '../runs/run-store.js';
import { ActiveMessages } from './active-messages.js';
import type { StepMethod } from '../discovery/step-handler.js';
import { callHandler } from './call-handler.js';
import type { FirstRecord } from './first-record.js';
import type { Lease } from './lease-keeper.js';
import type { StepCommit } from './step-commit.js';
import { StepContext } from './step-context.js';
import { openMessage, type MessageSource, type StepMessage } from './step-message.js';
import { judgeFailure, type StepPhase } from './step-outcome.js';

/** What all steps of a flow share at run time. */
export interface FlowServices {
  readonly contract: FlowContract;
  readonly runs: RunStore;
  readonly first: FirstRecord;
  readonly commit: StepCommit;
  readonly deadLetters: DeadLetterWriter;
  readonly cancelled: CancelledRuns;
  readonly tracer: FlowTracer;
  readonly meter: FlowMeter;
  readonly log: Log;
}

const CONFIRM_TIMEOUT_MS = 5_000;
/** After this long a message comes again of which the server did not take the dead letter, or not say that it is done. */
const STAYING_RETRY_MS = 5_000;
/** Reasons that are about an attempt, not about the message: another attempt may have succeeded. */
const MAY_HAVE_SUCCEEDED: ReadonlySet<DeadReason> = new Set([
  DeadReason.ATTEMPTS_EXHAUSTED,
  DeadReason.TERMINAL,
  DeadReason.DELIVERIES_EXHAUSTED,
]);

/** How a message's stay at a step ended, for logs and metrics. */
type StepEnding = 'completed' | 'resumed' | 'retried' | 'dead' | 'handed-back' | 'cancelled';
/** Endings after which the message goes on: it is handed back, not acknowledged. */
const GOES_ON: ReadonlySet<StepEnding> = new Set<StepEnding>(['retried', 'handed-back']);

/** The life of one message at one step: open, run, commit, acknowledge; or fail. */
export class StepRunner {
  readonly active = new ActiveMessages();
  private readonly tracked: boolean;
  private readonly meter: StepMeter;
  /** Streams whose messages live as long as the flow's retention. */
  private readonly ownStreams: ReadonlySet<string>;

  constructor(
    private readonly node: StepNode,
    private readonly method: StepMethod,
    private readonly services: FlowServices,
  ) {
    this.tracked = services.contract.track !== 'none';
    this.meter = services.meter.step(services.contract.name, node.name);
    const names = new FlowNames(services.contract.name);
    this.ownStreams = new Set([names.stream, names.ingestStream]);
  }

  /** Takes a message to its end. Never rejects: what fails is retried, dead-lettered or handed back, and logged. */
  run(lease: Lease, source: MessageSource): Promise<void> {
    const { delivery } = lease;
    const { contract, tracer } = this.services;
    const message = openMessage(delivery, source, this.node);
    const fields = { flow: contract.name, step: this.node.name, runId: message.runId, attempt: delivery.attempt };
    return runWithLogFields(fields, () =>
      this.isNothing(message)
        ? this.skip(message)
        : tracer.process(fields, delivery, (span) => this.attempt(message, lease, span)),
    );
  }

  /** Whether {@link run} does not come to the handler: the run is cancelled, or nothing came of the step before. */
  passesOver(delivery: Delivery, source: MessageSource): boolean {
    return this.isNothing(openMessage(delivery, source, this.node));
  }

  private isNothing({ filtered, runId, delivery }: StepMessage): boolean {
    return filtered || this.services.cancelled.has(runId, delivery);
  }

  private async skip(message: StepMessage): Promise<void> {
    const confirming = this.acknowledge(message);
    if (confirming !== undefined) await confirming;
  }

  private async attempt(message: StepMessage, lease: Lease, span?: Span): Promise<void> {
    const { delivery } = message;
    const startedAtMs = Date.now();
    this.meter.started(delivery.redelivered);
    let phase: StepPhase = 'decode';
    let ending: StepEnding = 'completed';
    let arrival: Promise<Error | undefined> | undefined;
    try {
      if ('error' in message.input) throw message.input.error;
      phase = 'commit';
      if (delivery.redelivered && (await this.hasEnded(message))) {
        ending = 'resumed';
      } else if (delivery.redelivered && this.services.cancelled.has(message.runId, delivery)) {
        // Cancelled while we looked for what an earlier delivery has done.
        ending = 'cancelled';
      } else {
        phase = 'handle';
        if (delivery.attempt > this.node.maxDeliveries) {
          throw new DeliveriesExhaustedError(this.node.name, delivery.attempt);
        }
        if (this.tracked && this.services.first.isNeededFor(message)) arrival = this.recordArrival(message);
        const value = await this.call(message, message.input.value, lease);
        phase = 'commit';
        const unrecorded = arrival && (await arrival);
        if (unrecorded !== undefined) throw unrecorded;
        await this.services.commit.commit({ node: this.node, message, value, startedAtMs });
      }
    } catch (error) {
      if (span !== undefined) recordError(span, error);
      // Not awaited: the message must not wait for it.
      void arrival?.then((unrecorded) => this.tellUnrecorded(message, unrecorded, error));
      ending = await this.fail(message, error, phase);
    }
    if (!GOES_ON.has(ending)) {
      const confirming = this.acknowledge(message);
      if (confirming !== undefined && !(await confirming)) span?.addEvent('acknowledgement not confirmed');
    }
    this.meter.finished(ending, Date.now() - startedAtMs);
  }

  /**
   * Says that the message is done, whatever came of it: the only place that does, and the last that happens to it.
   *
   * @returns with `ack: 'double'` a promise, which resolves to whether the server has confirmed it; otherwise nothing, so that
   * nobody waits.
   */
  private acknowledge(message: StepMessage): Promise<boolean> | undefined {
    if (this.node.ack === 'double') return this.acknowledgeConfirmed(message);
    message.delivery.ack();
    return undefined;
  }

  /** What is not confirmed is handed back. It is no failure of the step: what came of the message is stored. */
  private async acknowledgeConfirmed({ delivery, runId }: StepMessage): Promise<boolean> {
    try {
      // The lease is not extended meanwhile: what is handed back must still be ours.
      await delivery.ackConfirmed(Math.min(CONFIRM_TIMEOUT_MS, this.node.ackWaitMs / 2));
      return true;
    } catch (error) {
      this.services.log.warn(
        `Run "${runId}": step "${this.node.name}" is done with its message, which the server did not confirm; ` +
          `again in ${STAYING_RETRY_MS} ms unless it knows: ${describeThrown(error)}`,
      );
      delivery.nak(STAYING_RETRY_MS);
      return false;
    }
  }

  private call(message: StepMessage, input: unknown, lease: Lease): Promise<unknown> {
    const { contract, log } = this.services;
    const context = new StepContext(contract.name, this.node.name, message, this.method.logger);
    return callHandler(this.method.handler, input, context, this.node.timeoutMs, lease, this.active, log);
  }

  /**
   * A client that starts a run records it; where nobody has, or it may come too late, the run is recorded when the
   * message arrives, while the handler runs.
   *
   * @returns the error, so that it is not lost when the handler fails first.
   */
  private async recordArrival(message: StepMessage): Promise<Error | undefined> {
    const { runs, first } = this.services;
    try {
      await runs.begin(first.of(message));
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  private tellUnrecorded({ runId }: StepMessage, unrecorded: Error | undefined, failure: unknown): void {
    // As the failure itself it is logged as such.
    if (unrecorded === undefined || unrecorded === failure) return;
    this.services.log.warn(
      `Run "${runId}": that it came to step "${this.node.name}" could not be recorded; the message's next delivery or its dead ` +
        `letter records it: ${describeThrown(unrecorded)}`,
    );
  }

  /** Has the message handed back, unless its ending is one to acknowledge. */
  private async fail(message: StepMessage, error: unknown, phase: StepPhase): Promise<StepEnding> {
    const { delivery } = message;
    const { log, cancelled } = this.services;
    // By a shutdown that could not wait any longer, which has told of it.
    if (delivery.settled) return 'handed-back';
    if (cancelled.has(message.runId, delivery)) return 'cancelled';
    // By identity: one that a handler throws by itself would come back at once, again and again.
    if (error instanceof ShutdownError && error === this.active.closedBy) {
      delivery.nak(0);
      return 'handed-back';
    }
    const outcome =
      error instanceof DeliveriesExhaustedError
        ? ({ kind: 'dead', reason: DeadReason.DELIVERIES_EXHAUSTED } as const)
        : judgeFailure(error, phase, delivery.attempt, this.node.retry);
    if ('policyError' in outcome) {
      log.error(
        `Step "${this.node.name}": its retry policy failed, using the default: ${describeThrown(outcome.policyError)}`,
      );
    }
    if (outcome.kind === 'dead') return this.bury(message, outcome.reason, error);
    if (this.isGoneIn(delivery, outcome.delayMs)) return this.bury(message, DeadReason.RETENTION_EXCEEDED, error);
    log.warn(
      `Run "${message.runId}": step "${this.node.name}" failed at attempt ${delivery.attempt}, ` +
        `again in ${Math.round(outcome.delayMs)} ms: ${describeFailure(error)}`,
    );
    delivery.nak(outcome.delayMs);
    return 'retried';
  }

  /** The stream deletes a message at its age, whoever still waits for it. */
  private isGoneIn(delivery: Delivery, delayMs: number): boolean {
    if (!this.ownStreams.has(delivery.stream)) return false;
    return Date.now() + delayMs >= delivery.time.getTime() + this.services.contract.retentionMs;
  }

  /** Whether an earlier delivery came to its end, with a result or a dead letter: what follows from that is stored now. */
  private async hasEnded(message: StepMessage): Promise<boolean> {
    const { commit, deadLetters } = this.services;
    return (await commit.resume(this.node, message)) || (await deadLetters.resume(this.node.name, message));
  }

  /** Another delivery of the message may have come to its end while this one failed: then nothing is lost. */
  private async hasSucceeded(message: StepMessage): Promise<boolean> {
    try {
      return await this.services.commit.resume(this.node, message);
    } catch (error) {
      if (!(error instanceof DecodeError) && !(error instanceof EncodeError)) throw error;
      // It can be read or followed neither now nor later: better a letter too many than a message that never ends.
      this.services.log.warn(`Run "${message.runId}": what is stored of it is of no use: ${describeThrown(error)}`);
      return false;
    }
  }

  private async bury(message: StepMessage, reason: DeadReason, error: unknown): Promise<StepEnding> {
    const { deadLetters, log } = this.services;
    const what = `Run "${message.runId}": step "${this.node.name}"`;
    try {
      if (MAY_HAVE_SUCCEEDED.has(reason) && (await this.hasSucceeded(message))) return 'resumed';
      await deadLetters.write(this.node.name, message, reason, error);
    } catch (unwritten) {
      log.error(
        `${what} could not write its dead letter, the message stays: ${describeThrown(unwritten)}`,
        stackOf(unwritten),
      );
      message.delivery.nak(STAYING_RETRY_MS);
      return 'retried';
    }
    log.error(
      `${what} gave its message up at attempt ${message.delivery.attempt} (${reasonName(reason)}); ` +
        `it lies in the dead letters: ${describeThrown(error)}`,
      stackOf(error),
    );
    return 'dead';
  }
}

/** With the stack, unless the error is our own and says all there is to say. */
function describeFailure(error: unknown): string {
  return (error instanceof FlowError ? undefined : stackOf(error)) ?? describeThrown(error);
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? textOf(() => error.stack) : undefined;
}
