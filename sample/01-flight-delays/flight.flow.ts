import { create } from '@bufbuild/protobuf';
import {
  Flow,
  FlowStep,
  InjectObjectStore,
  TerminalError,
  type FlowContext,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { AirportDirectory } from './airports/airport-directory.js';
import { greatCircleMiles } from './airports/great-circle.js';
import { flightOf, isPlausible } from './airports/plausibility.js';
import { AirportDelays } from './delays/airport-delays.object.js';
import { RouteDelays } from './delays/route-delays.object.js';
import { RouteReviews } from './delays/route-reviews.object.js';
import { flightProblems } from './flight-problems.js';
import { Flights, LANDED_SUBJECT } from './flights.contract.js';
import { EnrichedFlightSchema, FlightSchema, type EnrichedFlight, type Flight } from './gen/flights/v1/flight_pb.js';

/** A worker that dies keeps its messages to itself for this long. */
const ackWait = '5s';

/**
 * ```
 * flights.landed ─▶ validate ─▶ enrich ─┬─ plausible ──▶ fold     airport_delays, route_delays
 *                                       └─ otherwise ──▶ review   route_reviews
 * ```
 */
@Flow(Flights)
export class FlightFlow {
  constructor(
    private readonly airports: AirportDirectory,
    @InjectObjectStore(AirportDelays) private readonly airportDelays: ObjectStore<AirportDelays>,
    @InjectObjectStore(RouteDelays) private readonly routeDelays: ObjectStore<RouteDelays>,
    @InjectObjectStore(RouteReviews) private readonly routeReviews: ObjectStore<RouteReviews>,
  ) {}

  /** The way in. The run has the flight's own id, so a flight that is reported twice is still one run. */
  @FlowStep({
    subject: LANDED_SUBJECT,
    runId: (flight: Flight) => flight.id,
    input: FlightSchema,
    output: FlightSchema,
    concurrency: 64,
    ackWait,
  })
  validate(flight: Flight): Flight {
    const problems = flightProblems(flight);
    // Trying again would not help: straight to the dead letters.
    if (problems.length > 0) throw new TerminalError(`Flight "${flight.id}": ${problems.join(', ')}.`);
    return flight;
  }

  /** Adds the airports and how far they are from each other. */
  @FlowStep({ after: 'validate', input: FlightSchema, output: EnrichedFlightSchema, concurrency: 64, ackWait })
  enrich(flight: Flight): EnrichedFlight {
    const origin = this.airports.find(flight.origin);
    const destination = this.airports.find(flight.destination);
    const miles = origin && destination && greatCircleMiles(origin, destination);
    return create(EnrichedFlightSchema, { flight, origin, destination, greatCircleMiles: miles });
  }

  /**
   * Counts the flight into its origin airport and its route. The step may run again after a crash; the idempotency
   * key lets each object take the flight once all the same.
   *
   * Updates of one object that wait at the same time are written together, which is why `concurrency` is high here.
   */
  @FlowStep({ after: 'enrich', when: isPlausible, input: EnrichedFlightSchema, concurrency: 256, ackWait })
  async fold(enriched: EnrichedFlight, ctx: FlowContext): Promise<undefined> {
    const flight = flightOf(enriched);
    const options = { idempotencyKey: ctx.idempotencyKey, signal: ctx.signal };
    await Promise.all([
      this.airportDelays.update({ iata: flight.origin }, flight, options),
      this.routeDelays.update(flight, flight, options),
    ]);
  }

  /** Notes what has to be looked at. */
  @FlowStep({ after: 'enrich', otherwise: true, input: EnrichedFlightSchema, concurrency: 64, ackWait })
  async review(enriched: EnrichedFlight, ctx: FlowContext): Promise<undefined> {
    const { origin, destination, distanceMiles } = flightOf(enriched);
    const expected = enriched.greatCircleMiles?.toFixed(1) ?? 'unknown';
    ctx.logger.log(`${origin}-${destination} reports ${distanceMiles} miles, by the airports it is ${expected}`);
    const options = { idempotencyKey: ctx.idempotencyKey, signal: ctx.signal };
    await this.routeReviews.update({ origin, destination }, enriched, options);
  }
}
