import { timestampDate, type Timestamp } from '@bufbuild/protobuf/wkt';
import { RunState, type Failure, type Run } from '../../codec/gen/flow/v1/run_pb.js';
import { deadStep } from './run-record.js';

/** Where a run stands. A failed run has a message in the dead letters; redriving makes it run again. */
export type RunStateName = 'running' | 'completed' | 'failed' | 'cancelled';

/** Why a run failed or was cancelled. */
export interface RunFailure {
  /** The step that gave its message up; absent when the run was cancelled. */
  readonly step?: string;
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

/** One step of a run that ended; kept with `track: 'step'`. */
export interface RunStep {
  readonly step: string;
  /** Where in the run, when a step runs several times in it. */
  readonly index: string;
  readonly attempt: number;
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

/** A run record, as people and programs read it. */
export interface RunStatus {
  readonly flow: string;
  readonly runId: string;
  readonly state: RunStateName;
  readonly startedAt: Date;
  /** When it completed or was cancelled. */
  readonly finishedAt?: Date;
  /** Messages of the run that are on their way. */
  readonly pending: number;
  readonly failure?: RunFailure;
  readonly metadata: Readonly<Record<string, string>>;
  readonly steps: readonly RunStep[];
}

const STATES = new Map<RunState, RunStateName>([
  [RunState.RUNNING, 'running'],
  [RunState.COMPLETED, 'completed'],
  [RunState.FAILED, 'failed'],
  [RunState.CANCELLED, 'cancelled'],
]);

/** The readable form of a stored run record. */
export function toRunStatus(run: Run): RunStatus {
  const { failure, finishedAt } = run;
  return {
    flow: run.flow,
    runId: run.runId,
    state: STATES.get(run.state) ?? 'running',
    startedAt: toDate(run.startedAt),
    ...(finishedAt !== undefined && { finishedAt: timestampDate(finishedAt) }),
    pending: run.pending,
    ...(failure !== undefined && { failure: toRunFailure(run, failure) }),
    metadata: run.metadata,
    steps: run.steps.map(({ step, index, attempt, startedAt: from, finishedAt: to }) => ({
      step,
      index,
      attempt,
      startedAt: toDate(from),
      finishedAt: toDate(to),
    })),
  };
}

function toRunFailure(run: Run, { name, code, message }: Failure): RunFailure {
  const step = run.state === RunState.FAILED ? deadStep(run) : undefined;
  return { ...(step !== undefined && { step }), name, code, message };
}

function toDate(timestamp: Timestamp | undefined): Date {
  return timestamp === undefined ? new Date(0) : timestampDate(timestamp);
}
