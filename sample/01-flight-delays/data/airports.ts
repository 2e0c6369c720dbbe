import { parse } from 'csv-parse/sync';
import { readDataFile } from './data-file.js';

/** A line of `airports.csv`. */
export interface AirportRow {
  readonly iata: string;
  readonly name: string;
  readonly city: string;
  readonly state: string;
  readonly country: string;
  /** Degrees, north and east positive. */
  readonly latitude: number;
  readonly longitude: number;
}

/** The 3,376 airports of the file. */
export function readAirports(): AirportRow[] {
  return parse<AirportRow>(readDataFile('airports.csv'), {
    columns: true,
    cast: (value, { column }) => (column === 'latitude' || column === 'longitude' ? Number(value) : value),
  });
}
