import type { Log } from '../common/log.js';

/** The message as it came from the stream, before decoding. */
export interface FlowMessage {
  /** Subject it was published to; for an external entry message, the external subject. */
  readonly subject: string;
  /** Original bytes. Shared, not copied: do not change them. */
  readonly data: Uint8Array;
  /** Stream that holds it. */
  readonly stream: string;
  /** Its sequence in that stream. */
  readonly sequence: number;
  /** When the server stored it. */
  readonly publishedAt: Date;
}

/**
 * What a step's handler gets as its second argument: where it stands, and what it needs to behave well. One
 * object per delivery; it must not be used after the handler has returned.
 */
export interface FlowContext {
  /** Name of the flow. */
  readonly flow: string;
  /** Name of the step. */
  readonly step: string;
  /** The run this message belongs to. */
  readonly runId: string;
  /** Where in the run's graph the message stands when a step runs several times in one run; empty otherwise. */
  readonly index: string;
  /**
   * Names this step's work on this message, the same at every attempt and in every process: for updates that must
   * happen once. Other steps of the run have others.
   */
  readonly idempotencyKey: string;
  /** 1 for the first delivery. Each delivery counts, also one cut short by a crash or handed back at a shutdown. */
  readonly attempt: number;
  /** Whether the message was delivered before: the handler may already have run, fully or in part. */
  readonly redelivered: boolean;
  /**
   * Aborts when the step's `timeout` passes, the run is cancelled, or the application shuts down and the grace
   * period is over. Its reason says which. A handler that goes on after that has its result thrown away.
   */
  readonly signal: AbortSignal;
  /**
   * Writes to the application's log in the name of the step's method (`OrderFlow.price`); with `flowLogger()` of the pino export
   * each line carries flow, step, run and attempt.
   */
  readonly logger: Log;
  /** What the starter of the run attached to it; the same in every step. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Headers of the message, the library's own included. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The message before decoding. */
  readonly message: FlowMessage;
}
