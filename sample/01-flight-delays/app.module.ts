import { Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { FlowModule, flowOptionsFromEnv } from 'nestjs-jetstream-flow';
import { flowLogger } from 'nestjs-jetstream-flow/pino';
import { AirportDirectory } from './airports/airport-directory.js';
import { AirportDelays } from './delays/airport-delays.object.js';
import { RouteDelays } from './delays/route-delays.object.js';
import { RouteReviews } from './delays/route-reviews.object.js';
import { FlightFlow } from './flight.flow.js';

@Module({
  imports: [
    LoggerModule.forRoot(flowLogger({ pinoHttp: { level: process.env.LOG_LEVEL ?? 'info' } })),
    // NATS_URL and its like say where the server is; without them it is the one on this machine.
    FlowModule.forRoot({ name: 'flight-delays', ...flowOptionsFromEnv() }),
    FlowModule.forFeature({ objects: [AirportDelays, RouteDelays, RouteReviews] }),
  ],
  providers: [AirportDirectory, FlightFlow],
})
export class AppModule {}
