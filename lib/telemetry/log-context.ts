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

/** Runs `fn` so that {@link currentLogFields} is `fields` in it and in everything it awaits or schedules. */
export function runWithLogFields<T>(fields: LogFields, fn: () => T): T {
  return storage.run(fields, fn);
}

/** The fields of the step this code runs in, `undefined` outside of any. */
export function currentLogFields(): LogFields | undefined {
  return storage.getStore();
}
