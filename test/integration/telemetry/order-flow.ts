import { Logger } from '@nestjs/common';
import {
  Flow,
  flow,
  FlowStep,
  InjectObjectStore,
  json,
  KvObject,
  type FlowContext,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';

/** How many steps an order has passed. */
export interface Order {
  readonly id: string;
  readonly passed: number;
}

const OrderSchema = json<Order>('Order');

export const Orders = flow('traced', { input: OrderSchema, output: OrderSchema });

/** Counts the orders of all. */
@KvObject({ bucket: 'traced_tally', schema: json<{ orders: number }>('Tally') })
export class Tally implements KvReducer<{ orders: number }, number, 'all'> {
  key(): string {
    return 'all';
  }
  empty(): { orders: number } {
    return { orders: 0 };
  }
  apply(state: { orders: number }, input: number): void {
    state.orders += input;
  }
}

/** Three steps in a line; each writes a line, and the second one updates a state object. */
@Flow(Orders)
export class OrderFlow {
  private readonly logger = new Logger(OrderFlow.name);

  constructor(@InjectObjectStore(Tally) private readonly tally: ObjectStore<Tally>) {}

  @FlowStep({})
  price(order: Order): Order {
    return this.pass(order, 'price');
  }

  @FlowStep({ after: 'price' })
  async charge(order: Order, ctx: FlowContext): Promise<Order> {
    await this.tally.update('all', 1, { idempotencyKey: ctx.runId });
    return this.pass(order, 'charge');
  }

  @FlowStep({ after: 'charge' })
  confirm(order: Order): Order {
    return this.pass(order, 'confirm');
  }

  private pass(order: Order, step: string): Order {
    this.logger.log(`in ${step}`);
    return { ...order, passed: order.passed + 1 };
  }
}
