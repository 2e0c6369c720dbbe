import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { RunSchema, RunState, type Failure, type Run, type StepRecord } from '../../codec/gen/flow/v1/run_pb.js';

/**
 * How a run record changes. Every change is idempotent by the key of the message that causes it, so that a
 * redelivered message changes nothing twice; a change that changes nothing returns `false`.
 */

/** Names one message of a run: `<step>` or `<step>.<index>`. */
export function settlementKey(step: string, index: string): string {
  return index === '' ? step : `${step}.${index}`;
}

/** Stands in {@link Run.entered} for the entry that clients start: they do not know its name. */
export const START_ENTRY = '';

/** The record of a run that has just been accepted: one message on its way to each of `entries`. */
export function newRun(
  flow: string,
  runId: string,
  startedAtMs: number,
  metadata: Readonly<Record<string, string>>,
  entries: readonly string[] = [START_ENTRY],
): Run {
  return create(RunSchema, {
    flow,
    runId,
    state: RunState.RUNNING,
    startedAt: timestampFromMs(startedAtMs),
    pending: entries.length,
    entered: [...entries],
    metadata: { ...metadata },
  });
}

/**
 * Counts messages that come to further entries of a run; to each entry one counts, whatever comes there again. A
 * run that had completed goes on.
 */
export function enter(run: Run, entries: readonly string[]): boolean {
  const further = entries.filter((entry) => !run.entered.includes(entry));
  if (further.length === 0 || run.state === RunState.CANCELLED) return false;
  run.entered.push(...further);
  run.pending += further.length;
  if (run.state === RunState.COMPLETED) {
    run.state = RunState.RUNNING;
    run.finishedAt = undefined;
  }
  return true;
}

/** What one message's completion does to its run. */
export interface Settlement {
  /** See {@link settlementKey}. */
  readonly key: string;
  /** Messages sent on, minus the one that is done. */
  readonly delta: number;
  /** Encoded result, from a step without successors. */
  readonly output?: { readonly data: Uint8Array; readonly contentType: string };
  /** For the list of ended steps, with `track: 'step'`. */
  readonly step?: StepRecord;
}

/** Whether a message of the run came to its end, or the run was cancelled so that it never will. */
export function hasSettled(run: Run, key: string): boolean {
  return run.state === RunState.CANCELLED || run.settled.includes(key);
}

/** Whether a message of the run was settled already, or the run has ended so that nothing can change. */
function isSettled(run: Run, key: string): boolean {
  return run.state === RunState.COMPLETED || hasSettled(run, key);
}

/** Counts a completion; the run is completed when nothing is on its way any more. */
export function settle(run: Run, settlement: Settlement, nowMs: number): boolean {
  const recorded = recordStep(run, settlement.step);
  if (!changesPending(settlement) || isSettled(run, settlement.key)) return recorded;
  run.settled.push(settlement.key);
  run.pending += settlement.delta;
  if (settlement.output !== undefined) {
    run.output = settlement.output.data;
    run.outputType = settlement.output.contentType;
  }
  finishWhenDone(run, nowMs);
  return true;
}

function changesPending(settlement: Settlement): boolean {
  return settlement.delta !== 0 || settlement.output !== undefined;
}

/** The next step may end the run before this one is recorded, so a completed run still takes step records. */
function recordStep(run: Run, step: StepRecord | undefined): boolean {
  if (step === undefined) return false;
  if (run.steps.some((known) => known.step === step.step && known.index === step.index)) return false;
  run.steps.push(step);
  return true;
}

/** Names one delivered message in {@link Run.dead}: a redriven one is another message under the same key. */
export function deathOf(key: string, stream: string, sequence: number | bigint): string {
  return `${key}@${stream}:${sequence}`;
}

/** The step whose message died last. */
export function deadStep({ dead }: Run): string | undefined {
  return dead.at(-1)?.split(/[.@]/)[0];
}

/** Marks the run as failed at one message; what runs elsewhere in it goes on. */
export function markDead(run: Run, key: string, death: string, failure: Failure): boolean {
  if (isSettled(run, key) || run.dead.includes(death) || run.redriven.includes(death)) return false;
  run.dead.push(death);
  run.failure = failure;
  run.state = RunState.FAILED;
  return true;
}

/**
 * A dead message was sent again. Its death may be recorded only afterwards, and does not count then; that it died
 * again may have been recorded already, which stands.
 */
export function unmarkDead(run: Run, key: string, death: string, nowMs: number): boolean {
  if (run.state === RunState.COMPLETED || run.state === RunState.CANCELLED) return false;
  if (run.redriven.includes(death)) return false;
  // The last one of each key is enough.
  run.redriven = [...run.redriven.filter((other) => !other.startsWith(`${key}@`)), death];
  const at = run.dead.indexOf(death);
  if (at < 0) return true;
  // Earlier deaths under the key are those of messages that this one took the place of.
  run.dead = run.dead.filter((other, position) => position > at || !other.startsWith(`${key}@`));
  if (run.dead.length > 0) return true;
  run.state = RunState.RUNNING;
  run.failure = undefined;
  finishWhenDone(run, nowMs);
  return true;
}

/**
 * A dead message was given up: it is done, but stays dead, since a run that lost one never counts as completed. Its
 * death may not be recorded yet.
 */
export function discardDead(run: Run, key: string, death: string, failure: Failure): boolean {
  if (isSettled(run, key) || run.redriven.includes(death)) return false;
  markDead(run, key, death, failure);
  run.settled.push(key);
  run.pending -= 1;
  return true;
}

/** Cancels a run that has not ended. */
export function cancel(run: Run, failure: Failure, nowMs: number): boolean {
  if (run.state !== RunState.RUNNING && run.state !== RunState.FAILED) return false;
  run.state = RunState.CANCELLED;
  run.failure = failure;
  run.finishedAt = timestampFromMs(nowMs);
  return true;
}

function finishWhenDone(run: Run, nowMs: number): void {
  if (run.pending > 0 || run.state !== RunState.RUNNING) return;
  run.state = RunState.COMPLETED;
  run.finishedAt = timestampFromMs(nowMs);
}
