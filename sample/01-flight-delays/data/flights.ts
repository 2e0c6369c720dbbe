import { readDataFile } from './data-file.js';

/** An entry of `flights-20k.json`. */
export interface FlightRow {
  /** Local date and time of the departure: `2001/01/01 00:47`. */
  readonly date: string;
  /** In minutes, negative when early. */
  readonly delay: number;
  /** In statute miles. */
  readonly distance: number;
  /** IATA codes. */
  readonly origin: string;
  readonly destination: string;
}

/** The first `count` of the file's 20,000 flights. */
export function readFlights(count = Infinity): FlightRow[] {
  const flights = JSON.parse(readDataFile('flights-20k.json')) as FlightRow[];
  return flights.slice(0, count);
}
