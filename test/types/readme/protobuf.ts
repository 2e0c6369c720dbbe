import { create } from '@bufbuild/protobuf';
import { Flow, flow, FlowStep } from 'nestjs-jetstream-flow';
import { OrderSchema, ReceiptSchema, type Order, type Receipt } from './gen/shop/v1/order_pb.js';

export const CafeOrders = flow('cafe_orders', { input: OrderSchema, output: ReceiptSchema });

@Flow(CafeOrders)
export class CafeFlow {
  @FlowStep({ input: OrderSchema, output: ReceiptSchema })
  price(order: Order): Receipt {
    return create(ReceiptSchema, { id: order.id, total: order.cups * 3.5 });
  }
}
