import { create } from '@bufbuild/protobuf';
import { KvObject, type KvReducer } from 'nestjs-jetstream-flow';
import { AirportDelaysSchema, type AirportDelays as AirportDelaysMessage } from '../gen/flights/v1/delays_pb.js';
import type { Flight } from '../gen/flights/v1/flight_pb.js';
import { addDelay } from './delay-figures.js';

/** The delays of all flights that left an airport, by its IATA code. */
@KvObject({
  bucket: 'airport_delays',
  schema: AirportDelaysSchema,
  // A flight may come again seconds after it was folded. Until then its id must be remembered, also where many others
  // follow it: the largest airport of the file has 1,103 flights.
  remember: { count: 2_048 },
})
export class AirportDelays implements KvReducer<AirportDelaysMessage, Flight, { iata: string }> {
  key({ iata }: { iata: string }): string {
    return iata;
  }

  empty({ iata }: { iata: string }): AirportDelaysMessage {
    return create(AirportDelaysSchema, { iata });
  }

  apply(delays: AirportDelaysMessage, flight: Flight): void {
    addDelay(delays, flight.delayMinutes);
  }
}
