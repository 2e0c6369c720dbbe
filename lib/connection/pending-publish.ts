import type { JetStreamRequestError } from '../common/errors.js';
import type { EncodedHeaders } from './publish-headers.js';
import type { PublishResult } from './publish.options.js';

/** One publish from the call to its end. */
export class PendingPublish {
  /** What the client gets: reply subject and headers. */
  readonly wire: { reply: string; headers?: EncodedHeaders };
  /** On the clock of `performance.now()`. */
  readonly deadline: number;
  /** Sent, and not answered since. Otherwise it waits: for a place, for the connection, for the next try. */
  sent = false;
  /** Sent again, with the outcome of an earlier attempt unknown. */
  repeated = false;
  /** When to send again; `Infinity` while something else must happen first. */
  repeatAt = Infinity;
  /** Times the server said "not now", and what it said last. */
  refusals = 0;
  refusal: JetStreamRequestError | undefined;
  settled = false;
  /** Ends listening to the caller's signal. */
  unlisten: (() => void) | undefined;

  constructor(
    readonly token: string,
    readonly subject: string,
    readonly data: Uint8Array,
    reply: string,
    headers: EncodedHeaders | undefined,
    /** The server recognises a second arrival, so it may be sent again. */
    readonly repeatable: boolean,
    readonly timeoutMs: number,
    readonly resolve: (result: PublishResult) => void,
    readonly reject: (error: Error) => void,
  ) {
    this.wire = headers === undefined ? { reply } : { reply, headers };
    this.deadline = performance.now() + timeoutMs;
  }
}
