import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { greatCircleMiles } from '../../../sample/01-flight-delays/airports/great-circle.js';
import { isPlausible } from '../../../sample/01-flight-delays/airports/plausibility.js';
import { readAirports } from '../../../sample/01-flight-delays/data/airports.js';
import { readFlights } from '../../../sample/01-flight-delays/data/flights.js';
import { AirportDelays } from '../../../sample/01-flight-delays/delays/airport-delays.object.js';
import {
  compareFigures,
  describeDelayFigures,
  describeDelays,
} from '../../../sample/01-flight-delays/demo/compare-figures.js';
import { computeExpected } from '../../../sample/01-flight-delays/demo/expected-figures.js';
import { flightProblems } from '../../../sample/01-flight-delays/flight-problems.js';
import { EnrichedFlightSchema, FlightSchema } from '../../../sample/01-flight-delays/gen/flights/v1/flight_pb.js';

const JFK = { iata: 'JFK', name: '', city: '', state: '', country: '', latitude: 40.63975111, longitude: -73.77892556 };
const LAX = { iata: 'LAX', name: '', city: '', state: '', country: '', latitude: 33.94253611, longitude: -118.4080744 };

describe('the data of the flight delays', () => {
  it('is read with quoted texts and numbers', () => {
    const airports = new Map(readAirports().map((airport) => [airport.iata, airport]));
    expect(airports.size).toBe(3_376);
    expect(airports.get('DBN')).toMatchObject({ name: 'W. H. "Bud" Barron', city: 'Dublin', latitude: 32.56445806 });
    expect(readFlights()).toHaveLength(20_000);
    expect(readFlights(2)).toHaveLength(2);
  });
});

describe('the plausibility of a flight', () => {
  const report = (distanceMiles: number, greatCircle: number | undefined) =>
    isPlausible(create(EnrichedFlightSchema, { flight: { distanceMiles }, greatCircleMiles: greatCircle }));

  it('compares with the shortest way over the globe', () => {
    expect(greatCircleMiles(JFK, LAX)).toBeCloseTo(2469.5, 0);
    expect(greatCircleMiles(JFK, JFK)).toBe(0);
    expect(report(2475, greatCircleMiles(JFK, LAX))).toBe(true);
    expect(report(2000, greatCircleMiles(JFK, LAX))).toBe(false);
  });

  it('is not given when an airport is unknown', () => {
    expect(report(2475, undefined)).toBe(false);
  });
});

describe('a reported flight', () => {
  const fields = { id: 'row-1', date: '2001/01/01 00:47', distanceMiles: 2475, origin: 'JFK', destination: 'LAX' };

  it('is taken when it is complete, and refused with everything that is wrong', () => {
    expect(flightProblems(create(FlightSchema, fields))).toEqual([]);
    expect(flightProblems(create(FlightSchema, { origin: 'jfk' }))).toEqual([
      'it has no id',
      '"" is no date',
      'it has no distance',
      '"jfk" is no airport code',
      '"" is no airport code',
    ]);
  });
});

describe('the figures of an airport', () => {
  it('are the same in whatever order flights come, and the same as computed at one go', () => {
    const reducer = new AirportDelays();
    const delays = fc.array(fc.integer({ min: -60, max: 2_000 }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(delays, (list) => {
        for (const order of [list, list.toReversed(), list.toSorted((a, b) => a - b)]) {
          const state = reducer.empty({ iata: 'JFK' });
          for (const delayMinutes of order) reducer.apply(state, create(FlightSchema, { delayMinutes }));
          expect(describeDelayFigures(state)).toBe(describeDelays(list));
        }
      }),
    );
  });

  it('are computed for plausible flights only', () => {
    const flight = { date: '', delay: 7, distance: 2475, origin: 'JFK', destination: 'LAX' };
    const flights = [flight, { ...flight, distance: 2000 }, { ...flight, destination: 'XXX' }];
    const { airports, routes, reviews } = computeExpected(flights, [JFK, LAX]);
    expect([...airports]).toEqual([['JFK', [7]]]);
    expect([...routes]).toEqual([['JFK.LAX', [7]]]);
    expect([...reviews]).toEqual([
      ['JFK.LAX', [2000]],
      ['JFK.XXX', [2475]],
    ]);
  });
});

describe('the comparison', () => {
  it('tells what is missing, what differs and what is too much', () => {
    const expected = new Map([
      ['JFK', '2'],
      ['LAX', '3'],
      ['SFO', '4'],
    ]);
    const actual = new Map([
      ['LAX', '5'],
      ['SFO', '4'],
      ['XXX', '1'],
    ]);
    expect(compareFigures('airport', expected, actual)).toEqual([
      'airport JFK: should be 2, is absent',
      'airport LAX: should be 3, is 5',
      'airport XXX: should be absent, is 1',
    ]);
  });
});
