import type { MsgHdrs } from '@nats-io/transport-node';
import type { StoredMsg } from '@nats-io/jetstream';

/** A message as a stream holds it. */
export interface StoredMessage {
  readonly subject: string;
  /** Sequence in the stream. */
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** When the stream stored it. */
  readonly time: Date;
}

/** The client's answer to a read, decoded once. */
export function toStoredMessage(stored: StoredMsg): StoredMessage {
  return {
    subject: stored.subject,
    sequence: stored.seq,
    data: stored.data,
    headers: stored.header,
    time: stored.time,
  };
}
