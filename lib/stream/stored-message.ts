import type { MsgHdrs } from '@nats-io/transport-node';

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
