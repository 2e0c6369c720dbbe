import { AsyncLocalStorage } from 'node:async_hooks';

/** What says which step a log line was written in. */
export interface LogFields {
  /** Name of the flow. */
  readonly flow: string;
  /** Name of the step. */
  readonly step: string;
  /** The run, unique within its flow. */
  readonly runId: string;
  /** 1 for the first delivery of the message to a handler. */
  readonly attempt: number;
}

// One per process, as the OpenTelemetry context: it carries the fields of each call chain, no state of an application.
const storage = new AsyncLocalStorage<LogFields>();

// On Node 20 a storage that was ever entered slows every promise of the process, so nothing enters it before
// somebody reads.
let inUse = false;

/** Runs `fn` so that {@link currentLogFields} is `fields` in it and in everything it awaits or schedules. */
export function runWithLogFields<T>(fields: LogFields, fn: () => T): T {
  return inUse ? storage.run(fields, fn) : fn();
}

/**
 * The fields of the step this code runs in, `undefined` outside of any. The first call turns the bookkeeping on for
 * the process: a logger calls it once when it is set up, or the steps that run then go without.
 */
export function currentLogFields(): LogFields | undefined {
  inUse = true;
  return storage.getStore();
}
