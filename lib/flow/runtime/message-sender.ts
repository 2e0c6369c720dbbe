import { WrongLastSequenceError } from '../../common/errors.js';
import { FlowHeader } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { FlowTracer } from '../../telemetry/tracer.js';
import { OutgoingHeaders } from './outgoing-headers.js';

/** A message to store under a subject of its own. */
export interface OutgoingMessage {
  readonly subject: string;
  /** The subject without run id and index, to name the span. */
  readonly destination: string;
  readonly data: Uint8Array;
  /** Text of the metadata header, see `metadataHeader`. */
  readonly metadata?: string | undefined;
  /** Marks a place that is taken but holds no message. */
  readonly filtered?: boolean;
  /** How often the message was redriven. */
  readonly redriven?: number;
  /** Sequence of the message it replaces. @default 0: there must be none */
  readonly replaces?: number;
}

/** Stores the messages of flows, each exactly once, with the trace they belong to. */
export class MessageSender {
  constructor(
    private readonly connection: FlowConnection,
    private readonly tracer: FlowTracer,
  ) {}

  /**
   * Stores a message unless its place is taken.
   *
   * @returns `false` when the place is taken, be it by an earlier attempt of the same work.
   */
  send(message: OutgoingMessage): Promise<boolean> {
    const headers = new OutgoingHeaders();
    if (message.metadata !== undefined) headers.set(FlowHeader.metadata, message.metadata);
    if (message.filtered) headers.set(FlowHeader.filtered, '1');
    if (message.redriven !== undefined) headers.set(FlowHeader.redriven, String(message.redriven));
    const { subject, destination, data } = message;
    const options = { headers, expectLastSubjectSequence: message.replaces ?? 0 };
    return this.tracer.publish({ subject, destination, data, headers }, () =>
      this.connection.publisher.publish(subject, data, options).then(isStored, isTaken),
    );
  }
}

const isStored = (): true => true;

function isTaken(error: unknown): false {
  if (error instanceof WrongLastSequenceError) return false;
  throw error;
}
