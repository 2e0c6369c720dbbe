// Compiled by the type check, never run.
import { json } from '../../lib/codec/message-schema.js';
import { flow, type FlowContract } from '../../lib/flow/contract.js';
import { FlowStep } from '../../lib/flow/decorators/flow-step.decorator.js';
import type { FlowContext } from '../../lib/flow/flow-context.js';

interface Order {
  id: number;
  total: number;
}
interface Priced extends Order {
  price: number;
}
const OrderSchema = json<Order>('Order');
const PricedSchema = json<Priced>('Priced');
const Orders = flow('orders', { input: OrderSchema, output: PricedSchema });
const Untyped: FlowContract = Orders;

export class Entries {
  @FlowStep({ flow: Orders })
  entry(order: Order, ctx: FlowContext): number {
    return order.id + ctx.attempt;
  }

  @FlowStep({ flow: Orders, rate: { limit: 1, window: '1s', key: (order) => String(order.id) } })
  wider(order: Pick<Order, 'id'>): number {
    return order.id;
  }

  @FlowStep({ flow: Orders, output: PricedSchema, timeout: '1s' })
  withOutput(order: Order): Priced {
    return { ...order, price: 1 };
  }

  @FlowStep({ flow: Orders })
  withoutParameters(): number {
    return 1;
  }

  // @ts-expect-error: the parameter is not the contract's input
  @FlowStep({ flow: Orders })
  wrongParameter(count: number): number {
    return count;
  }

  // @ts-expect-error: the parameter wants more than the contract's input has
  @FlowStep({ flow: Orders, output: PricedSchema, timeout: '1s' })
  narrowerParameter(priced: Priced): Priced {
    return priced;
  }

  // @ts-expect-error: no such field of the contract's input
  @FlowStep({ flow: Orders, rate: { limit: 1, window: '1s', key: (order) => String(order.price) } })
  wrongKey(order: Order): number {
    return order.id;
  }

  // @ts-expect-error: the result is not the output
  @FlowStep({ flow: Orders, output: PricedSchema })
  wrongResult(order: Order): Order {
    return order;
  }

  // @ts-expect-error: no such option
  @FlowStep({ flow: Orders, timout: '1s' })
  misspelt(order: Order): number {
    return order.id;
  }
}

/** What these get need not be the contract's input, or is not known. */
export class Others {
  @FlowStep({
    flow: Orders,
    input: PricedSchema,
    rate: { limit: 1, window: '1s', key: (order) => String(order.price) },
  })
  ownInput(priced: Priced): number {
    return priced.price;
  }

  @FlowStep({ flow: Orders, after: 'entry' })
  later(count: number): number {
    return count;
  }

  @FlowStep({ flow: Orders, subject: 'orders' })
  external(text: string): string {
    return text;
  }

  @FlowStep({ flow: Untyped })
  untyped(text: string): string {
    return text;
  }

  @FlowStep<typeof OrderSchema, typeof PricedSchema>({ input: OrderSchema, output: PricedSchema })
  named(order: Order): Priced {
    return { ...order, price: 1 };
  }
}
