import { TerminalError } from 'nestjs-jetstream-flow';
import type { EnrichedFlight, Flight } from '../gen/flights/v1/flight_pb.js';

/** The sphere of the great-circle formula is off by up to this share; more than that somebody should look at. */
const TOLERANCE = 0.005;

/** Whether the reported distance agrees with the airports' positions; not when one of them is unknown. */
export function isPlausible(enriched: EnrichedFlight): boolean {
  const { distanceMiles } = flightOf(enriched);
  const { greatCircleMiles } = enriched;
  return greatCircleMiles !== undefined && Math.abs(greatCircleMiles - distanceMiles) <= TOLERANCE * distanceMiles;
}

/** @throws TerminalError when there is none: Protobuf lets every field be absent, our own steps never leave it out. */
export function flightOf({ flight }: EnrichedFlight): Flight {
  if (flight === undefined) throw new TerminalError('The enriched flight has lost its flight.');
  return flight;
}
