import Table from 'cli-table3';
import type { ObjectStore } from 'nestjs-jetstream-flow';
import { AirportDirectory } from '../airports/airport-directory.js';
import type { AirportDelays } from '../delays/airport-delays.object.js';
import { meanDelay, onTimeShare } from '../delays/delay-figures.js';
import type { AirportDelays as AirportDelaysMessage } from '../gen/flights/v1/delays_pb.js';

/** The ten airports with the greatest mean delay, among those that at least `leastFlights` left. */
export async function worstAirports(store: ObjectStore<AirportDelays>, leastFlights: number): Promise<string> {
  const airports: AirportDelaysMessage[] = [];
  for await (const { state } of store.entries()) if (state.flights >= leastFlights) airports.push(state);
  airports.sort((a, b) => meanDelay(b) - meanDelay(a));

  const directory = new AirportDirectory();
  const table = new Table({
    head: ['', 'airport', 'flights', 'mean delay', 'worst', 'on time'],
    colAligns: ['right', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  airports.slice(0, 10).forEach((airport, index) => {
    const { iata, flights, worstDelayMinutes } = airport;
    const mean = `${meanDelay(airport).toFixed(1)} min`;
    const onTime = `${(100 * onTimeShare(airport)).toFixed(1)} %`;
    const place = `${iata} ${directory.find(iata)?.city ?? ''}`;
    table.push([index + 1, place, flights, mean, `${worstDelayMinutes} min`, onTime]);
  });
  return table.toString();
}
