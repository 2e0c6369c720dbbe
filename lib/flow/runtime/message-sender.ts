import { FlowError, WrongLastSequenceError } from '../../common/errors.js';
import { FlowHeader } from '../../common/names.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { FlowMeter, PublishMeter } from '../../telemetry/metrics.js';
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
  /** Further headers; a name may come several times. */
  readonly headers?: Iterable<readonly [name: string, value: string]>;
  /** Sequence of the message it replaces. @default 0: there must be none */
  readonly replaces?: number;
}

/** Stores the messages of flows, each exactly once, with the trace they belong to. */
export class MessageSender {
  private readonly meters = new Map<string, PublishMeter>();

  constructor(
    private readonly connection: FlowConnection,
    private readonly tracer: FlowTracer,
    private readonly meter: FlowMeter,
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
    if (message.headers !== undefined) for (const [name, value] of message.headers) headers.add(name, value);
    const { subject, destination, data } = message;
    const options = { headers, expectLastSubjectSequence: message.replaces ?? 0 };
    return this.tracer.publish({ subject, destination, data, headers }, () => {
      const sent = this.connection.publisher.publish(subject, data, options);
      if (this.meter.enabled) this.measure(destination, sent);
      return sent.then(isStored, isTaken);
    });
  }

  private measure(destination: string, sent: Promise<unknown>): void {
    let meter = this.meters.get(destination);
    if (meter === undefined) this.meters.set(destination, (meter = this.meter.publisher(destination)));
    const of = meter;
    const startedAt = performance.now();
    sent.then(
      () => of.published(performance.now() - startedAt),
      (error: unknown) =>
        of.published(performance.now() - startedAt, error instanceof FlowError ? error.code : 'UNKNOWN'),
    );
  }
}

const isStored = (): true => true;

function isTaken(error: unknown): false {
  if (error instanceof WrongLastSequenceError) return false;
  throw error;
}
