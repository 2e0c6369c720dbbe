import type { LoggerService } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Flow, flow, FlowModule, FlowStep, json, type FlowModuleOptions } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { connectForTest } from '../../support/connect-for-test.js';
import { jetstreamManager } from '@nats-io/jetstream';

const Orders = flow('orders', { input: json('Order'), output: json('Receipt') });

@Flow(Orders)
class OrderFlow {
  @FlowStep({ subject: ['orders.created', 'legacy.orders'] })
  price(order: unknown): unknown {
    return order;
  }

  @FlowStep({ after: 'price' })
  charge(priced: unknown): unknown {
    return priced;
  }
}

describe('the boot log', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
    await using connection = await connectForTest(server);
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'SHOP', subjects: ['orders.>'] });
  });
  afterAll(async () => {
    await server.stop();
  });

  async function linesOf(options: FlowModuleOptions): Promise<string[]> {
    const lines: string[] = [];
    const keep = (message: unknown): void => {
      lines.push(...String(message).split('\n'));
    };
    const logger: LoggerService = { log: keep, warn: keep, error: keep };
    const app = await FlowTestApp.start(
      ({ url }) => ({
        imports: [FlowModule.forRoot({ servers: url, name: 'shop', ...options })],
        providers: [OrderFlow],
      }),
      { server, logger },
    );
    await app.close();
    return lines;
  }

  it('shows server, storage, flows, steps, subjects and the consumers that are there', async () => {
    const lines = await linesOf({});
    expect(lines.find((line) => line.startsWith('Connection "shop" at'))).toContain(`nats-server ${server.version}`);
    const at = lines.findIndex((line) => line.startsWith('flow orders'));
    expect(lines[at - 1]).toContain('Storage: as the streams have it; new ones get file, 1 copy.');
    expect(lines.slice(at, at + 4)).toEqual([
      'flow orders: 2 steps, track run, stream FLOW_orders (flow.orders.>), kept 7d',
      '  price   <- start, "orders.created", "legacy.orders"  Order => Receipt    -> charge',
      '  charge  <- price                                     Receipt => Receipt  -> end',
      '  consumers: step_price, start, step_charge, flow_orders=price=orders=2Ecreated (on SHOP), ' +
        'flow_orders=price=legacy=2Eorders (on FLOW_orders_IN)',
    ]);

    await using connection = await connectForTest(server);
    const { consumers } = await jetstreamManager(connection);
    const onServer = await Promise.all(
      ['FLOW_orders', 'SHOP', 'FLOW_orders_IN'].map(async (stream) =>
        (await consumers.list(stream).next()).map((info) => info.name),
      ),
    );
    expect(onServer.flat().length).toBe(5);
    for (const name of onServer.flat()) expect(lines[at + 3]).toContain(name);
  });

  it('says that a process runs no steps', async () => {
    const lines = await linesOf({ consume: false });
    expect(lines).toContain('This process starts flows and runs no steps (consume: false).');
    expect(lines.some((line) => line.startsWith('flow orders'))).toBe(false);
  });
});
