import { exponential, Flow, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { Orders, type Order, type Priced, type Receipt } from './contract.js';
import { Payments } from './payments.js';

@Flow(Orders)
export class OrderFlow {
  constructor(private readonly payments: Payments) {}

  @FlowStep({ output: json<Priced>('Priced') })
  price(order: Order): Priced {
    return { id: order.id, total: order.cups * 3.5, card: order.card };
  }

  @FlowStep({
    after: 'price',
    retry: exponential('1s', { attempts: 5 }),
    timeout: '30s',
    concurrency: 32,
  })
  async charge(priced: Priced, ctx: FlowContext): Promise<Receipt> {
    const { idempotencyKey: key, signal } = ctx;
    const payment = await this.payments.charge(priced.card, priced.total, { key, signal });
    return { id: priced.id, total: priced.total, payment };
  }
}
