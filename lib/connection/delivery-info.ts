import { FlowError } from '../common/errors.js';

/** What the server tells about a delivery in the subject it wants the acknowledgement on. */
export interface DeliveryInfo {
  readonly stream: string;
  readonly consumer: string;
  /** How many times this consumer delivered the message, from 1. */
  readonly deliveries: number;
  readonly streamSequence: number;
  /** Counts all deliveries of the consumer, from 1. */
  readonly consumerSequence: number;
  /** When the stream stored the message. */
  readonly timeMs: number;
  /** Messages the consumer has not delivered yet. */
  readonly pending: number;
}

const V1_TOKENS = 9;
const V2_TOKENS = 11;
const NANOS_PER_MS = 1_000_000;

/**
 * Reads an acknowledgement subject in the two forms of the protocol's ADR-15; the second one, from
 * nats-server 2.14 on, has the domain and the account before the stream and may have tokens added at the end.
 * The client reads them the same way but does not export it. This file is the only one that knows the form.
 */
export function readDeliveryInfo(subject: string): DeliveryInfo {
  const tokens = subject.split('.');
  const first = tokens.length === V1_TOKENS ? 2 : tokens.length >= V2_TOKENS ? 4 : 0;
  const [stream, consumer, ...numbers] = tokens.slice(first, first + 7);
  const [deliveries, streamSequence, consumerSequence, nanos, pending] = numbers.map(Number);
  if (
    first === 0 ||
    tokens[0] !== '$JS' ||
    tokens[1] !== 'ACK' ||
    stream === undefined ||
    consumer === undefined ||
    deliveries === undefined ||
    streamSequence === undefined ||
    consumerSequence === undefined ||
    nanos === undefined ||
    pending === undefined
  ) {
    throw new FlowError(
      'DELIVERY',
      `"${subject}" is not the acknowledgement subject of a JetStream delivery as this version knows it. ` +
        'Is the server newer than this library? Upgrade the library.',
    );
  }
  return {
    stream,
    consumer,
    deliveries,
    streamSequence,
    consumerSequence,
    timeMs: Math.floor(nanos / NANOS_PER_MS),
    pending,
  };
}
