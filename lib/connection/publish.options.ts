import type { HeaderFields } from './publish-headers.js';

/** What goes with one publish. */
export interface PublishOptions {
  /** Headers beside the library's own. Message id and expected sequence have options of their own. */
  readonly headers?: HeaderFields;
  /** `Nats-Msg-Id`: the stream drops a second arrival within its duplicate window. Makes the publish repeatable. */
  readonly messageId?: string;
  /** `Nats-Expected-Last-Subject-Sequence`; 0: the subject must be new. Makes the publish repeatable. */
  readonly expectLastSubjectSequence?: number;
  /** Time from the call to the end, with waiting and all repetitions. @default the connection's `publishTimeout` */
  readonly timeoutMs?: number;
  /** Gives up. A message already sent may be stored all the same. */
  readonly signal?: AbortSignal;
}

/** Where the message was stored. */
export interface PublishResult {
  readonly stream: string;
  readonly sequence: number;
  /** The stream had a message of this id already; `sequence` is that one's. */
  readonly duplicate: boolean;
  /** The publish was sent more than once, with the outcome of an earlier attempt unknown. */
  readonly repeated: boolean;
}

/** Limits of a publisher; part of the connection's options. */
export interface PublisherOptions {
  /** Milliseconds. */
  readonly publishTimeout: number;
  readonly maxPublishesInFlight: number;
  readonly inboxPrefix?: string | undefined;
}
