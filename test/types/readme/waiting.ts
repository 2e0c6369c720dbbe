import { expect, it } from 'vitest';
import { FlowClient, FlowModule, getObjectStoreToken, type ObjectStore } from 'nestjs-jetstream-flow';
import { eventually, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { AirportDelays, Arrivals, ArrivalsModule } from './state.js';

it('counts arrivals', async () => {
  await using app = await FlowTestApp.start((server) => ({
    imports: [FlowModule.forRoot({ servers: server.url }), ArrivalsModule],
  }));
  await app.get(FlowClient).start(Arrivals, { airport: 'SFO', delayMinutes: 12 });

  const delays = app.get<ObjectStore<AirportDelays>>(getObjectStoreToken(AirportDelays));
  const state = await eventually(() => delays.read({ iata: 'SFO' }), { what: 'the delays of SFO', timeout: '5s' });
  expect(state).toEqual({ flights: 1, totalMinutes: 12 });
});
