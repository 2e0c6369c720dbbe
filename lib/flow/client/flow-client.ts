import { randomUUID } from 'node:crypto';
import { codecFor, type MessageOf, type MessageSchema } from '../../codec/message-schema.js';
import { CancelledError, ConfigurationError } from '../../common/errors.js';
import { FlowNames, runIdProblem } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { FlowContract } from '../contract.js';
import { listPauses, pauseRequest, type Pause } from '../control/pause-control.js';
import { newRun } from '../runs/run-record.js';
import type { FlowStreams } from '../runtime/flow-streams.js';
import type { MessageSender } from '../runtime/message-sender.js';
import { metadataHeader } from '../runtime/step-message.js';
import { FlowRun } from './flow-run.js';
import { FlowRunAccess } from './flow-run-access.js';
import { listRuns, type ListedRun, type RunFilter } from './list-runs.js';

/** Options of {@link FlowClient.start}. */
export interface StartOptions {
  /**
   * Names the run. A second start with the same id within the flow's retention starts nothing and returns the
   * run that is there. @default a random UUID
   */
  readonly runId?: string;
  /** Travels with the run to every step. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Gives up before anything is sent. */
  readonly signal?: AbortSignal;
}

/** Starts runs of flows and follows them. Needs only a flow's contract: its steps may live in other processes. */
export class FlowClient {
  private readonly accesses = new Map<string, FlowRunAccess<unknown>>();

  /** @internal Made by the module. */
  constructor(
    private readonly connection: FlowConnection,
    private readonly streams: FlowStreams,
    private readonly sender: MessageSender,
  ) {}

  /**
   * Starts a run. When the promise resolves, the server has stored the run's first message, and it will reach
   * its steps. Repeat a start that failed with the same `runId`: it continues where the first came to.
   *
   * @throws ConfigurationError when `runId` is empty or too long; EncodeError when `input` is not of the contract's
   * type or the metadata is too long; MessageTooLargeError; PublishTimeoutError or ConnectionError when the server does not answer (whether the run started is not known then).
   */
  async start<I extends MessageSchema, O extends MessageSchema>(
    contract: FlowContract<I, O>,
    input: MessageOf<I>,
    options: StartOptions = {},
  ): Promise<FlowRun<MessageOf<O>>> {
    const { runId = randomUUID(), metadata = {}, signal } = options;
    checkRunId(contract, runId);
    const data = codecFor(contract.input).encode(input);
    const header = metadataHeader(metadata);
    await this.streams.provisionFlow(contract);
    if (signal?.aborted) throw new CancelledError(`Starting run "${runId}"`, { cause: signal.reason });
    const access = this.accessOf(contract);
    const names = new FlowNames(contract.name);
    const run = newRun(contract.name, runId, Date.now(), metadata);
    const destination = `flow.${contract.name}.start`;
    const sent = this.sender.send({ subject: names.startSubject(runId), destination, data, metadata: header });
    // Both at once: the order of the two does not matter, since whoever ends the run first makes its record. Only
    // what may be refused for its size is sent first: a run that never begins must leave no record.
    if (data.length > (this.connection.nats.info?.max_payload ?? 0) / 2) await sent;
    await Promise.all([sent, contract.track === 'none' ? undefined : access.runs.begin(run)]);
    return new FlowRun(runId, access);
  }

  /** The handle of a run started elsewhere or earlier. Asks nothing of the server. */
  run<I extends MessageSchema, O extends MessageSchema>(
    contract: FlowContract<I, O>,
    runId: string,
  ): FlowRun<MessageOf<O>> {
    checkRunId(contract, runId);
    return new FlowRun(runId, this.accessOf(contract));
  }

  /**
   * The flow's recorded runs, the one that changed longest ago first, read as they are iterated: a third of a millisecond
   * each, also for those that `state` leaves out, and one at a time in memory. A run that changes meanwhile may come again,
   * as it is then; none is left out.
   *
   * @throws ConfigurationError when the flow has `track: 'none'`.
   */
  runs(contract: FlowContract, filter: RunFilter = {}): AsyncGenerator<ListedRun, void, undefined> {
    return listRuns(contract, this.accessOf(contract).runs, filter);
  }

  /**
   * Pauses a step on all instances, or with no step the whole flow: what is in hand is finished, nothing more is
   * pulled, messages wait in the stream. Lasts over restarts until {@link resume}. Workers warn of a step that
   * they do not have.
   *
   * @throws ConfigurationError when `step` cannot be the name of one.
   */
  pause(contract: FlowContract, step?: string): Promise<void> {
    return this.requestPause(contract, step, true);
  }

  /**
   * Ends a {@link pause} of the same flow or step. A step paused by itself stays so when its flow is resumed.
   *
   * @throws ConfigurationError when `step` cannot be the name of one.
   */
  resume(contract: FlowContract, step?: string): Promise<void> {
    return this.requestPause(contract, step, false);
  }

  /** Everything that is paused now: flows, and steps by themselves, the longest paused first. */
  async paused(): Promise<Pause[]> {
    await this.streams.provisionShared();
    return listPauses(this.connection);
  }

  private async requestPause({ name }: FlowContract, step: string | undefined, paused: boolean): Promise<void> {
    const { subject, data } = pauseRequest(name, step, paused);
    await this.streams.provisionShared();
    // With an id it is repeated when nobody hears it; a second time asks for the same.
    await this.connection.publisher.publish(subject, data, { messageId: randomUUID() });
  }

  private accessOf<I extends MessageSchema, O extends MessageSchema>(
    contract: FlowContract<I, O>,
  ): FlowRunAccess<MessageOf<O>> {
    let access = this.accesses.get(contract.name);
    if (access === undefined) {
      access = new FlowRunAccess(this.connection, contract);
      this.accesses.set(contract.name, access);
    }
    return access as FlowRunAccess<MessageOf<O>>;
  }
}

function checkRunId({ name }: FlowContract, runId: string): void {
  const problem = runIdProblem(runId);
  if (problem !== undefined) throw new ConfigurationError(`Run of flow "${name}"`, [`its runId ${problem}.`]);
}
