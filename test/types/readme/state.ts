import { Injectable, Module } from '@nestjs/common';
import {
  Flow,
  flow,
  FlowModule,
  FlowStep,
  InjectObjectStore,
  json,
  KvObject,
  OnKvChange,
  REMOVED,
  UNCHANGED,
  type FlowContext,
  type KeyEvent,
  type KvReducer,
  type ObjectStore,
  type WatchEvent,
} from 'nestjs-jetstream-flow';
import type { Observable } from 'rxjs';

export interface FlightArrived {
  airport: string;
  delayMinutes: number;
}
export interface Delays {
  flights: number;
  totalMinutes: number;
}

@KvObject({ bucket: 'airport_delays', schema: json<Delays>('Delays') })
export class AirportDelays implements KvReducer<Delays, FlightArrived, { iata: string }> {
  key({ iata }: { iata: string }): string {
    return iata;
  }

  empty(): Delays {
    return { flights: 0, totalMinutes: 0 };
  }

  apply(state: Delays, flight: FlightArrived): void {
    state.flights += 1;
    state.totalMinutes += flight.delayMinutes;
  }
}

export const Arrivals = flow('arrivals', { input: json<FlightArrived>('FlightArrived') });

@Flow(Arrivals)
export class ArrivalFlow {
  constructor(@InjectObjectStore(AirportDelays) private readonly delays: ObjectStore<AirportDelays>) {}

  @FlowStep()
  async count(flight: FlightArrived, ctx: FlowContext): Promise<void> {
    const { idempotencyKey } = ctx;
    await this.delays.update({ iata: flight.airport }, flight, { idempotencyKey, signal: ctx.signal });
  }
}

@Module({
  imports: [FlowModule.forFeature({ objects: [AirportDelays] })],
  providers: [ArrivalFlow],
})
export class ArrivalsModule {}

@Injectable()
export class DelayReports {
  constructor(@InjectObjectStore(AirportDelays) private readonly delays: ObjectStore<AirportDelays>) {}

  async tour(): Promise<void> {
    const sfo = { iata: 'SFO' };
    await this.delays.read(sfo); // the state, or undefined
    await this.delays.readEntry(sfo); // with revision and time
    await this.delays.readMany([sfo, { iata: 'JFK' }]);

    await this.delays.modify(sfo, (draft, { exists }) => {
      if (!exists) return UNCHANGED; // write nothing
      if (draft.flights === 0) return REMOVED; // delete the entry
      draft.totalMinutes = Math.round(draft.totalMinutes);
      return undefined; // keep what was changed
    });

    for await (const key of this.delays.keys()) console.log(key.parts);
    for await (const { key, state } of this.delays.entries()) console.log(key.text, state.flights);
    await this.delays.history(sfo);

    await this.delays.reset(sfo); // to the empty state
    await this.delays.delete(sfo);
  }

  async follow(signal: AbortSignal): Promise<void> {
    for await (const event of this.delays.watch({ iata: '*' }, { signal })) {
      if (event.type === 'value') console.log(event.key.text, event.state.flights, event.isUpdate);
      if (event.type === 'caught-up') console.log('That was everything that was there.');
    }
  }

  async expiring(sfo: { iata: string }, flight: FlightArrived): Promise<void> {
    await this.delays.update(sfo, flight, { ttl: '2h' });
  }

  async move(from: { iata: string }, to: { iata: string }): Promise<void> {
    await this.delays.transaction([from, to], ([one, other]) => {
      if (!one || !other) return;
      other.flights += one.flights;
      one.flights = 0;
    });
  }

  changes(): Observable<WatchEvent<Delays>> {
    return this.delays.observe({ iata: 'SFO' });
  }
}

@Injectable()
export class DelayBoard {
  readonly rows = new Map<string, Delays>();

  @OnKvChange(AirportDelays, { key: { iata: '*' }, from: 'last' })
  refresh(change: KeyEvent<Delays>): void {
    if (change.type === 'value') this.rows.set(change.key.text, change.state);
    if (change.type === 'deleted') this.rows.delete(change.key.text);
  }
}
