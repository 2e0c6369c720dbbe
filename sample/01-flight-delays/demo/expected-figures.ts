import type { AirportRow } from '../data/airports.js';
import type { FlightRow } from '../data/flights.js';

/** What the objects must hold in the end, by key. */
export interface ExpectedFigures {
  /** Delays of the plausible flights, by origin. */
  readonly airports: ReadonlyMap<string, readonly number[]>;
  /** Delays of the plausible flights, by `<origin>.<destination>`. */
  readonly routes: ReadonlyMap<string, readonly number[]>;
  /** Reported distances of the others, by `<origin>.<destination>`. */
  readonly reviews: ReadonlyMap<string, readonly number[]>;
}

/**
 * Computes straight from the files what the flow must come to. Shares no code with it, and takes another formula for
 * the distance, so that a mistake of one shows against the other.
 */
export function computeExpected(flights: readonly FlightRow[], airportRows: readonly AirportRow[]): ExpectedFigures {
  const positions = new Map(airportRows.map((row) => [row.iata, row]));
  const airports = new Map<string, number[]>();
  const routes = new Map<string, number[]>();
  const reviews = new Map<string, number[]>();
  for (const { origin, destination, delay, distance } of flights) {
    const route = `${origin}.${destination}`;
    const [from, to] = [positions.get(origin), positions.get(destination)];
    if (from && to && Math.abs(milesBetween(from, to) - distance) <= distance / 200) {
      append(airports, origin, delay);
      append(routes, route, delay);
    } else {
      append(reviews, route, distance);
    }
  }
  return { airports, routes, reviews };
}

function append(lists: Map<string, number[]>, key: string, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** The angle between two places as seen from the centre of the earth, times its radius. */
function milesBetween(from: AirportRow, to: AirportRow): number {
  const [a, b] = [direction(from), direction(to)];
  const cross = Math.hypot(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
  return 3958.7613 * Math.atan2(cross, a.x * b.x + a.y * b.y + a.z * b.z);
}

function direction({ latitude, longitude }: AirportRow): { x: number; y: number; z: number } {
  const [phi, lambda] = [(latitude / 180) * Math.PI, (longitude / 180) * Math.PI];
  return { x: Math.cos(phi) * Math.cos(lambda), y: Math.cos(phi) * Math.sin(lambda), z: Math.sin(phi) };
}
