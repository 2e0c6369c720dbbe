import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import type { LoggerService } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DeadLetters,
  FlowConnection,
  FlowModule,
  getObjectStoreToken,
  RunFailedError,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, eventually, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { codeBlocks } from '../support/markdown.js';
import { Orders } from '../types/readme/contract.js';
import { Alarms, ReadingFlow, SensorGateway } from '../types/readme/entries.js';
import { ChargeFlow, Charges } from '../types/readme/failures.js';
import { OrderSchema } from '../types/readme/gen/shop/v1/order_pb.js';
import { CurrentTenant, SignupFlow, Signups } from '../types/readme/nest.js';
import { OrderFlow } from '../types/readme/order.flow.js';
import { Payments } from '../types/readme/payments.js';
import { CafeFlow, CafeOrders } from '../types/readme/protobuf.js';
import { ClaimFlow, Claims } from '../types/readme/routing.js';
import { AirportDelays, Arrivals, ArrivalsModule } from '../types/readme/state.js';

/** The flows that the README shows do what it says. */
describe("the README's flows", () => {
  let server: EmbeddedNatsServer;
  let app: FlowTestApp;
  const log: string[] = [];

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
    const providers = [
      OrderFlow,
      Payments,
      ClaimFlow,
      ReadingFlow,
      Alarms,
      SensorGateway,
      ChargeFlow,
      CafeFlow,
      SignupFlow,
      CurrentTenant,
    ];
    app = await FlowTestApp.start(
      ({ url }) => ({
        imports: [FlowModule.forRoot({ servers: url }), ArrivalsModule],
        providers,
      }),
      { server, logger: loggerInto(log) },
    );
  });
  afterAll(async () => {
    await app.close();
    await server.stop();
  });

  it('are described in the boot log as the README shows', () => {
    const shown = codeBlocks(readFileSync('README.md', 'utf8')).find(({ text }) => text.startsWith('flow claims:'));
    expect(log.join('\n')).toContain(shown?.text);
  });

  it('charge an order once for each run id', async () => {
    const order = { id: 'A-17', cups: 4, card: '4242' };
    const receipt = { id: 'A-17', total: 14, payment: '4242:14:A-17/charge/' };
    expect(await app.run(Orders, order, { runId: 'A-17' })).toEqual(receipt);
    expect(await app.run(Orders, { ...order, cups: 100 }, { runId: 'A-17' })).toEqual(receipt);
  });

  it('split claims, merge them again, and end what is filtered', async () => {
    const claim = (amount: number) =>
      app.run(Claims, { id: String(amount), amount, country: 'CH' }, { timeout: '20s' });
    expect(await claim(100)).toEqual({ id: '100', paid: true });
    expect(await claim(20_000)).toEqual({ id: '20000', paid: false });
    expect(await claim(0)).toBeUndefined();
  });

  it('take external messages', async () => {
    const { manager } = app.get(FlowConnection);
    await app.get(SensorGateway).report({ sensor: 'boiler', at: 1, celsius: 95 });
    await eventually(
      async () =>
        (await manager.streams.getMessage('FLOW_readings', { last_by_subj: 'flow.readings.step.alarm.boiler-1' })) !==
        null,
      { what: 'the alarm' },
    );
  });

  it('charge without a result', async () => {
    expect(await app.run(Charges, { id: 'c-1', total: 3, card: '1' })).toBeUndefined();
  });

  it('carry Protobuf', async () => {
    expect(await app.run(CafeOrders, create(OrderSchema, { id: 'p', cups: 2 }))).toMatchObject({ id: 'p', total: 7 });
  });

  it('go through guards and pipes', async () => {
    const metadata = { tenant: 'acme' };
    expect(await app.run(Signups, { email: 'a@example.com' }, { metadata })).toBeUndefined();
    await expect(app.run(Signups, { email: 'nobody' }, { runId: 's-2', metadata })).rejects.toThrow(RunFailedError);
    const letter = await app.get(DeadLetters).get('signups.greet.s-2');
    expect(letter).toMatchObject({ reason: 'terminal', attempts: 1 });
  });

  it('count in state objects, each run once', async () => {
    const arrive = (delayMinutes: number, runId: string) =>
      app.run(Arrivals, { airport: 'SFO', delayMinutes }, { runId });
    await Promise.all([arrive(5, 'f-1'), arrive(10, 'f-2'), arrive(5, 'f-1')]);
    const delays = app.get<ObjectStore<AirportDelays>>(getObjectStoreToken(AirportDelays));
    expect(await delays.read({ iata: 'SFO' })).toEqual({ flights: 2, totalMinutes: 15 });
  });
});

/** A logger of Nest that keeps what it is told. */
function loggerInto(log: string[]): LoggerService {
  const keep = (message: unknown): void => void log.push(String(message));
  return { log: keep, warn: keep, error: keep };
}
