import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Flow, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';

interface Order {
  id: string;
  amount: number;
}
interface Receipt {
  id: string;
  total: number;
  trail: string[];
}

const Orders = flow('orders', { input: json<Order>('Order'), output: json<Receipt>('Receipt') });

@Flow(Orders)
class OrderFlow {
  readonly contexts: FlowContext[] = [];

  @FlowStep({})
  price(order: Order, ctx: FlowContext): Receipt {
    this.contexts.push(ctx);
    return { id: order.id, total: order.amount * 2, trail: [ctx.step] };
  }

  @FlowStep({ after: 'price', input: json<Receipt>('Receipt') })
  async charge(receipt: Receipt, ctx: FlowContext): Promise<Receipt> {
    this.contexts.push(ctx);
    return Promise.resolve({ ...receipt, trail: [...receipt.trail, ctx.step] });
  }

  @FlowStep({ after: 'charge' })
  confirm(receipt: Receipt, ctx: FlowContext): Receipt {
    return { ...receipt, trail: [...receipt.trail, `${ctx.step}:${ctx.metadata['tenant'] ?? '-'}`] };
  }
}

describe('a flow in a line', () => {
  let server: EmbeddedNatsServer;

  beforeAll(async () => {
    server = await EmbeddedNatsServer.start();
  });
  afterAll(async () => {
    await server.stop();
  });

  it('takes a run from its start to its result', async () => {
    await using app = await startFlowApp(server.url, [OrderFlow]);
    const flows = app.get(FlowClient);
    const run = await flows.start(Orders, { id: 'o-1', amount: 21 }, { runId: 'o-1', metadata: { tenant: 'acme' } });
    expect(await run.result()).toEqual({ id: 'o-1', total: 42, trail: ['price', 'charge', 'confirm:acme'] });
    expect(await run.status()).toMatchObject({
      state: 'completed',
      runId: 'o-1',
      pending: 0,
      metadata: { tenant: 'acme' },
    });
  });
});
