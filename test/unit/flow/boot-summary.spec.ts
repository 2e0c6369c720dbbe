import { describe, expect, it } from 'vitest';
import { flow, json } from 'nestjs-jetstream-flow';
import { ServerCapabilities } from '../../../lib/connection/server-capabilities.js';
import { describeBoot } from '../../../lib/flow/boot-summary.js';
import { resolveFlowModuleOptions, type FlowModuleOptions } from '../../../lib/flow.module.options.js';
import { graphOf } from './graph/declare.js';

const connection = {
  name: 'shop',
  nats: { getServer: () => '127.0.0.1:4222' },
  capabilities: new ServerCapabilities('2.15.2'),
};
const resolve = (options: FlowModuleOptions): Parameters<typeof describeBoot>[1] =>
  resolveFlowModuleOptions(options).runtime;
const Orders = flow('orders', { input: json('Order'), output: json('Receipt'), track: 'none', retention: '36h' });

const orders = {
  graph: graphOf(
    {
      price: { subject: ['orders.created', 'legacy.orders.*'] },
      charge: { after: 'price', output: json('Receipt') },
    },
    Orders,
  ),
  sources: [
    { stream: 'FLOW_orders', consumer: 'step_price' },
    { stream: 'SHOP', consumer: 'flow_orders=price=orders=2Ecreated' },
    { stream: 'FLOW_orders', consumer: 'start' },
    { stream: 'FLOW_orders_IN', consumer: 'flow_orders=price=legacy=2Eorders=2E=2A' },
    { stream: 'FLOW_orders', consumer: 'step_charge' },
  ],
};
const visits = {
  graph: graphOf({ count: {} }, flow('visits', { input: json('Visit') })),
  sources: [
    { stream: 'FLOW_visits', consumer: 'step_count' },
    { stream: 'FLOW_visits', consumer: 'start' },
  ],
};

describe('the boot summary', () => {
  it('shows the server, what survives, and each flow with stream, steps, subjects and consumers', () => {
    expect(describeBoot(connection, resolve({ durability: 'file' }), [orders, visits])).toMatchInlineSnapshot(`
      "Connection "shop" at 127.0.0.1:4222: nats-server 2.15.2: all features.
      Storage: file, 1 copy. Survives a crash of the server; power loss can cost what its sync_interval (2 minutes unless set) has not written yet.
      flow orders: 2 steps, track none, stream FLOW_orders (flow.orders.>), kept 36h
        price   <- start, "orders.created", "legacy.orders.*"  Order => Receipt    -> charge
        charge  <- price                                       Receipt => Receipt  -> end
        consumers: step_price, start, step_charge, flow_orders=price=orders=2Ecreated (on SHOP), flow_orders=price=legacy=2Eorders=2E=2A (on FLOW_orders_IN)
      flow visits: 1 step, track run, stream FLOW_visits (flow.visits.>), kept 7d
        count  <- start  Visit => json  -> end
        consumers: step_count, start"
    `);
  });

  it('says what replicated storage and memory survive', () => {
    const [, replicated] = describeBoot(connection, resolve({ durability: 'replicated' }), [visits]).split('\n');
    expect(replicated).toContain('Storage: file, 3 copies.');
    const [, more] = describeBoot(connection, resolve({ durability: 'replicated', replicas: 5 }), [visits]).split('\n');
    expect(more).toContain('Storage: file, 5 copies.');
    const [, whatever] = describeBoot(connection, resolve({}), [visits]).split('\n');
    expect(whatever).toContain('Storage: as the streams have it');
    const [, memory] = describeBoot(connection, resolve({ durability: 'memory' }), [visits]).split('\n');
    expect(memory).toBe('Storage: memory. A restart of the server loses everything.');
  });

  it('names what an old server lacks', () => {
    const old = { ...connection, capabilities: new ServerCapabilities('2.10.0') };
    expect(describeBoot(old, resolve({}), [visits])).toMatch(
      /^Connection "shop" .*: nats-server 2\.10\.0: without .*messageTtl \(2\.11\.0\)/,
    );
  });

  it('says why no steps run here', () => {
    expect(describeBoot(connection, resolve({ consume: false }), [])).toContain('consume: false');
    expect(describeBoot(connection, resolve({}), [])).toContain('has no flow steps');
  });
});
