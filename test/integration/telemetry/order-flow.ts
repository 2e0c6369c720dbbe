import { Logger } from '@nestjs/common';
import { Flow, flow, FlowStep, json } from 'nestjs-jetstream-flow';

/** How many steps an order has passed. */
export interface Order {
  readonly id: string;
  readonly passed: number;
}

const OrderSchema = json<Order>('Order');

export const Orders = flow('traced', { input: OrderSchema, output: OrderSchema });

/** Three steps in a line; each writes a line. */
@Flow(Orders)
export class OrderFlow {
  private readonly logger = new Logger(OrderFlow.name);

  @FlowStep({})
  price(order: Order): Order {
    return this.pass(order, 'price');
  }

  @FlowStep({ after: 'price' })
  async charge(order: Order): Promise<Order> {
    await new Promise((resolve) => setImmediate(resolve));
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
