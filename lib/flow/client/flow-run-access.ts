import { create } from '@bufbuild/protobuf';
import { codecFor, json } from '../../codec/message-schema.js';
import { FailureSchema, RunState, type Run } from '../../codec/gen/flow/v1/run_pb.js';
import { DecodeError } from '../../common/errors.js';
import { FlowNames } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { ApiCode, isApiError } from '../../stream/jetstream-api.js';
import { readLastBySubject } from '../../stream/stream-reader.js';
import type { FlowContract } from '../contract.js';
import { cancel } from '../runs/run-record.js';
import { RunStore } from '../runs/run-store.js';
import { watchRun } from './run-watch.js';

const NOTHING = new Uint8Array(0);

/** What a handle of a run needs of the flow: reading, watching and changing its records. */
export class FlowRunAccess<Output> {
  readonly runs: RunStore;
  private readonly names: FlowNames;

  constructor(
    private readonly connection: FlowConnection,
    private readonly contract: FlowContract,
  ) {
    this.names = new FlowNames(contract.name);
    this.runs = new RunStore(connection, this.names);
  }

  get flow(): string {
    return this.contract.name;
  }

  read(runId: string): Promise<Run | undefined> {
    return this.runs.read(runId);
  }

  watch(runId: string, signal?: AbortSignal): AsyncGenerator<Run | undefined, void, undefined> {
    return watchRun(this.connection, this.names, this.runs, runId, signal);
  }

  /**
   * The result in a completed run's record.
   *
   * @throws DecodeError when it is not of the contract's output type.
   */
  decodeOutput(run: Run): Output | undefined {
    if (run.outputType === '') return undefined;
    const codec = codecFor(this.contract.output ?? json());
    if (run.outputType !== codec.contentType) {
      throw new DecodeError(
        `Run "${run.runId}" of flow "${run.flow}" ended with a result of type ${run.outputType}, but the contract's ` +
          `output here is ${codec.contentType}: declare the same "output" wherever the contract is used.`,
      );
    }
    return codec.decode(run.output) as Output;
  }

  /**
   * Marks the record, then tells every worker.
   *
   * @returns whether this call cancelled the run; without records, whether there is a stream for the request.
   */
  async cancel(runId: string, reason: string): Promise<boolean> {
    if (this.contract.track === 'none') {
      // Without a stream the request would wait for one until its timeout.
      if (!(await this.hasStream(runId))) return false;
      await this.requestCancel(runId);
      return true;
    }
    const failure = create(FailureSchema, { name: 'RunCancelledError', code: 'RUN_CANCELLED', message: reason });
    let changed = false;
    const run = await this.runs.update(runId, (known) => (changed = cancel(known, failure, Date.now())));
    // Also when it was cancelled before: whoever did may have come no further than the record.
    if (run?.state !== RunState.CANCELLED) return false;
    await this.requestCancel(runId);
    return changed;
  }

  private async hasStream(runId: string): Promise<boolean> {
    try {
      await readLastBySubject(this.connection, this.names.stream, this.names.cancelSubject(runId));
      return true;
    } catch (error) {
      if (isApiError(error, ApiCode.streamNotFound)) return false;
      throw error;
    }
  }

  private async requestCancel(runId: string): Promise<void> {
    const messageId = `cancel:${runId}`;
    await this.connection.publisher.publish(this.names.cancelSubject(runId), NOTHING, { messageId });
  }
}
