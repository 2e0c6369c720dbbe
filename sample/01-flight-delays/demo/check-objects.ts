import type { StoreEntry } from 'nestjs-jetstream-flow';
import { readAirports } from '../data/airports.js';
import type { FlightRow } from '../data/flights.js';
import {
  compareFigures,
  describeDelayFigures,
  describeDelays,
  describeDistances,
  describeReviews,
  type FiguresByKey,
} from './compare-figures.js';
import { computeExpected } from './expected-figures.js';
import type { Observer } from './observer.js';

/** How the comparison came out. */
export interface ObjectCheck {
  /** Objects that there are. */
  readonly airports: number;
  readonly routes: number;
  readonly reviewedRoutes: number;
  /** What is not as it must be, a line each. */
  readonly differences: readonly string[];
}

/** Compares every object with what the files say, and sees that nothing was given up. */
export async function checkObjects(observer: Observer, flights: readonly FlightRow[]): Promise<ObjectCheck> {
  const expected = computeExpected(flights, readAirports());
  const airports = await collect(observer.airportDelays.entries(), describeDelayFigures);
  const routes = await collect(observer.routeDelays.entries(), describeDelayFigures);
  const reviews = await collect(observer.routeReviews.entries(), describeReviews);
  const differences: string[] = [];
  // These come first: they explain the rest.
  for await (const { id, error } of observer.deadLetters.list({ flow: 'flights' })) {
    differences.push(`dead letter ${id}: ${error.message}`);
  }
  differences.push(
    ...compareFigures('airport', mapValues(expected.airports, describeDelays), airports),
    ...compareFigures('route', mapValues(expected.routes, describeDelays), routes),
    ...compareFigures('route to review', mapValues(expected.reviews, describeDistances), reviews),
  );
  return { airports: airports.size, routes: routes.size, reviewedRoutes: reviews.size, differences };
}

async function collect<State>(
  entries: AsyncIterable<StoreEntry<State>>,
  describe: (state: State) => string,
): Promise<FiguresByKey> {
  const figures = new Map<string, string>();
  for await (const { key, state } of entries) figures.set(key.text, describe(state));
  return figures;
}

function mapValues<From, To>(map: ReadonlyMap<string, From>, change: (value: From) => To): Map<string, To> {
  return new Map([...map].map(([key, value]) => [key, change(value)]));
}
