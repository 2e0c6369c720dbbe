import { create, toBinary } from '@bufbuild/protobuf';
import type { FlowConnection } from 'nestjs-jetstream-flow';
import type { FlightRow } from '../data/flights.js';
import { LANDED_SUBJECT } from '../flights.contract.js';
import { FlightSchema } from '../gen/flights/v1/flight_pb.js';

/** Flights that are encoded at one time; fewer of them wait for the server at one time. */
const CHUNK = 2_000;

/** Which of the flights: the first one and the one behind the last, counted from 0. */
export interface FlightRange {
  readonly from: number;
  readonly until: number;
}

/**
 * Reports flights as an outside producer does, who knows the subject and the message and nothing of the flow. The
 * server stores a flight once, however often its publish is repeated: the id of the message is the flight's.
 */
export async function publishFlights(
  { publisher }: FlowConnection,
  flights: readonly FlightRow[],
  { from, until }: FlightRange,
  signal: AbortSignal,
): Promise<void> {
  for (let start = from; start < until; start += CHUNK) {
    signal.throwIfAborted();
    const chunk = flights.slice(start, Math.min(until, start + CHUNK));
    await Promise.all(
      chunk.map(({ date, delay, distance, origin, destination }, index) => {
        // The file has no flight numbers; its rows stay where they are.
        const id = `row-${start + index + 1}`;
        const fields = { id, date, delayMinutes: delay, distanceMiles: distance, origin, destination };
        const message = create(FlightSchema, fields);
        return publisher.publish(LANDED_SUBJECT, toBinary(FlightSchema, message), { messageId: id });
      }),
    );
  }
}
