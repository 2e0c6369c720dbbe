import { CancelledError, NotFoundError, RunCancelledError, RunFailedError } from '../../common/errors.js';
import { RunState, type Run } from '../../codec/gen/flow/v1/run_pb.js';
import { toError } from '../runs/failure.js';
import { deadStep } from '../runs/run-record.js';
import type { RunStatus } from '../runs/run-status.js';
import { toRunStatus } from '../runs/run-status.js';
import type { FlowRunAccess } from './flow-run-access.js';

/** Options of calls that wait. */
export interface WaitOptions {
  /** Gives up waiting; the run goes on. */
  readonly signal?: AbortSignal;
}

/**
 * A run of a flow, wherever it is executed. Holds no resources. Needs a flow that is tracked; with
 * `track: 'none'` there is no record, and everything but `cancel` throws {@link NotFoundError}.
 */
export class FlowRun<Output> {
  /** @internal Made by `FlowClient`. */
  constructor(
    /** The id it was started with. */
    readonly runId: string,
    private readonly access: FlowRunAccess<Output>,
  ) {}

  /**
   * Waits for the run's result: what the last step without a successor returned, `undefined` when none returned
   * anything. Waits through lost connections, also when it is called during one.
   *
   * @throws RunFailedError when a message of the run lies in the dead letters; with its step, and its error as cause.
   * @throws RunCancelledError when the run was cancelled.
   * @throws NotFoundError when no such run is recorded.
   * @throws CancelledError when `signal` aborts; ConnectionError when the application stops, once its own steps have drained.
   * @throws DecodeError when the result is not of the contract's output type.
   */
  async result(options: WaitOptions = {}): Promise<Output | undefined> {
    for await (const run of this.access.watch(this.runId, options.signal)) {
      const found = this.require(run);
      switch (found.state) {
        case RunState.COMPLETED:
          return this.access.decodeOutput(found);
        case RunState.FAILED:
          throw toRunFailedError(found);
        case RunState.CANCELLED:
          throw new RunCancelledError(this.access.flow, this.runId, found.failure?.message ?? '');
        default:
      }
    }
    throw new CancelledError(`Waiting for run "${this.runId}" of flow "${this.access.flow}"`, {
      cause: options.signal?.reason,
    });
  }

  /**
   * Where the run stands, read from the leader.
   *
   * @throws NotFoundError when no such run is recorded.
   */
  async status(): Promise<RunStatus> {
    return toRunStatus(this.require(await this.access.read(this.runId)));
  }

  /**
   * The run's status now and after every change, until it has completed or was cancelled, or `signal` aborts. A
   * slow consumer gets the latest and misses what came between.
   *
   * @throws NotFoundError when no such run is recorded; ConnectionError when the application stops.
   */
  async *watch(options: WaitOptions = {}): AsyncGenerator<RunStatus, void, undefined> {
    for await (const run of this.access.watch(this.runId, options.signal)) {
      const status = toRunStatus(this.require(run));
      yield status;
      if (status.state === 'completed' || status.state === 'cancelled') return;
    }
  }

  /**
   * Cancels the run: handlers under way are told through `ctx.signal`, no further step begins. What a step that
   * is just ending sends may still be stored; it is dropped where it arrives.
   *
   * @returns `true` when this call cancelled the run; `false` when it had ended or was cancelled before, or does not
   * exist. With `track: 'none'` nobody knows that: `true` then, and `false` only when the flow has no stream yet.
   */
  cancel(reason = ''): Promise<boolean> {
    return this.access.cancel(this.runId, reason);
  }

  private require(run: Run | undefined): Run {
    if (run === undefined) {
      throw new NotFoundError(
        `Run "${this.runId}" of flow "${this.access.flow}" is not recorded: it was not started, its flow has track "none", or its retention is over.`,
      );
    }
    return run;
  }
}

function toRunFailedError(run: Run): RunFailedError {
  const { flow, runId, failure } = run;
  const step = deadStep(run) ?? 'unknown';
  if (failure === undefined) return new RunFailedError(flow, runId, step, 'for an unknown reason');
  return new RunFailedError(flow, runId, step, failure.message, { cause: toError(failure) });
}
