import { flow } from 'nestjs-jetstream-flow';
import { FlightSchema } from './gen/flights/v1/flight_pb.js';

/** Where the outside world reports flights that have landed, as `flights.v1.Flight`. */
export const LANDED_SUBJECT = 'flights.landed';

/**
 * One run per flight. Runs are not recorded: nobody waits for a single flight, what counts is in the state objects.
 * With `track: 'run'` each flight would have a status, at the price of two more writes.
 */
export const Flights = flow('flights', { input: FlightSchema, track: 'none' });
