import { flow, json } from 'nestjs-jetstream-flow';

export interface Order {
  id: string;
  cups: number;
  card: string;
}
export interface Priced {
  id: string;
  total: number;
  card: string;
}
export interface Receipt {
  id: string;
  total: number;
  payment: string;
}

export const Orders = flow('orders', {
  input: json<Order>('Order'),
  output: json<Receipt>('Receipt'),
  track: 'run',
  retention: '7d',
});
