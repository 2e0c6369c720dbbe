import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  DeadLetters,
  FlowConnection,
  FlowModule,
  flowOptionsFromEnv,
  getObjectStoreToken,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { AirportDelays } from '../delays/airport-delays.object.js';
import { RouteDelays } from '../delays/route-delays.object.js';
import { RouteReviews } from '../delays/route-reviews.object.js';

/** An application of its own that runs no steps: it reads the same objects as the workers write. */
export interface Observer extends AsyncDisposable {
  readonly connection: FlowConnection;
  readonly deadLetters: DeadLetters;
  readonly airportDelays: ObjectStore<AirportDelays>;
  readonly routeDelays: ObjectStore<RouteDelays>;
  readonly routeReviews: ObjectStore<RouteReviews>;
}

/** Starts the observer and connects it. */
export async function startObserver(serverUrl: string): Promise<Observer> {
  @Module({
    imports: [
      FlowModule.forRoot({ ...flowOptionsFromEnv(), servers: serverUrl, name: 'flight-delays-demo', consume: false }),
      FlowModule.forFeature({ objects: [AirportDelays, RouteDelays, RouteReviews] }),
    ],
  })
  class ObserverModule {}

  const app = await NestFactory.createApplicationContext(ObserverModule, {
    logger: ['warn', 'error', 'fatal'],
    abortOnError: false,
  });
  return {
    connection: app.get(FlowConnection, { strict: false }),
    deadLetters: app.get(DeadLetters, { strict: false }),
    airportDelays: app.get<ObjectStore<AirportDelays>>(getObjectStoreToken(AirportDelays), { strict: false }),
    routeDelays: app.get<ObjectStore<RouteDelays>>(getObjectStoreToken(RouteDelays), { strict: false }),
    routeReviews: app.get<ObjectStore<RouteReviews>>(getObjectStoreToken(RouteReviews), { strict: false }),
    [Symbol.asyncDispose]: () => app.close(),
  };
}
