import { create } from '@bufbuild/protobuf';
import { KvObject, type KvReducer } from 'nestjs-jetstream-flow';
import { RouteDelaysSchema, type RouteDelays as RouteDelaysMessage } from '../gen/flights/v1/delays_pb.js';
import type { Flight } from '../gen/flights/v1/flight_pb.js';
import { addDelay } from './delay-figures.js';
import type { Route } from './route.js';

/** The delays of all flights from one airport to another. */
@KvObject({ bucket: 'route_delays', schema: RouteDelaysSchema })
export class RouteDelays implements KvReducer<RouteDelaysMessage, Flight, Route> {
  key({ origin, destination }: Route): string[] {
    return [origin, destination];
  }

  empty({ origin, destination }: Route): RouteDelaysMessage {
    return create(RouteDelaysSchema, { origin, destination });
  }

  apply(delays: RouteDelaysMessage, flight: Flight): void {
    addDelay(delays, flight.delayMinutes);
  }
}
