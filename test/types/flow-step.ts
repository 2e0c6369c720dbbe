// Compiled by the type check, never run.
import { Injectable } from '@nestjs/common';
import { of, type Observable } from 'rxjs';
import { expectTypeOf } from 'vitest';
import { RunSchema, type Run } from '../../lib/codec/gen/flow/v1/run_pb.js';
import { json, type MessageOf, type MessageSchema } from '../../lib/codec/message-schema.js';
import { flow, type FlowContract } from '../../lib/flow/contract.js';
import { Flow } from '../../lib/flow/decorators/flow.decorator.js';
import { FlowStep } from '../../lib/flow/decorators/flow-step.decorator.js';
import type { FlowStepOptions } from '../../lib/flow/decorators/flow-step.options.js';
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

// A contract is typed by its schemas, and every contract is a FlowContract.
const Orders = flow('orders', { input: OrderSchema, output: RunSchema });
expectTypeOf<MessageOf<(typeof Orders)['input']>>().toEqualTypeOf<Order>();
expectTypeOf<MessageOf<NonNullable<(typeof Orders)['output']>>>().toEqualTypeOf<Run>();
expectTypeOf(Orders).toExtend<FlowContract>();
const Open = flow('open', { input: RunSchema });
expectTypeOf<MessageOf<NonNullable<(typeof Open)['output']>>>().toEqualTypeOf<unknown>();
expectTypeOf<FlowStepOptions<typeof OrderSchema, typeof RunSchema>>().toExtend<FlowStepOptions>();
// @ts-expect-error: no input
flow('orders', { output: RunSchema });
// @ts-expect-error: no such level
flow('orders', { input: OrderSchema, track: 'all' });
// @ts-expect-error: no duration
flow('orders', { input: OrderSchema, retention: 'a week' });

@Flow(Orders)
@Injectable()
export class Fitting {
  @FlowStep()
  anything(a: Order, ctx: FlowContext): Priced {
    return { ...a, price: ctx.attempt };
  }

  @FlowStep({ input: OrderSchema, output: PricedSchema })
  both(order: Order, ctx: FlowContext): Priced {
    return { ...order, price: ctx.attempt };
  }

  @FlowStep({ input: OrderSchema, output: PricedSchema })
  async promised(order: Order): Promise<Priced | undefined> {
    return order.total > 0 ? { ...order, price: 1 } : undefined;
  }

  @FlowStep({ input: OrderSchema, rate: { limit: 1, window: '1s', key: (order) => String(order.id) } })
  keyed(order: Order): number {
    return order.total;
  }

  // @ts-expect-error: no such field of the input
  @FlowStep({ input: OrderSchema, rate: { limit: 1, window: '1s', key: (order) => String(order.price) } })
  wrongKey(order: Order): number {
    return order.total;
  }

  // @ts-expect-error: no duration
  @FlowStep({ rate: { limit: 1, window: 'a while' } })
  wrongWindow(order: Order): number {
    return order.total;
  }

  @FlowStep({ input: PricedSchema })
  widerParameter(order: Order): number {
    return order.total;
  }

  @FlowStep({ output: OrderSchema })
  narrowerResult(input: string): Priced {
    return { id: 1, total: 1, price: input.length };
  }

  @FlowStep({ input: OrderSchema })
  noParameters(): void {
    // Nothing goes on.
  }

  @FlowStep({ input: OrderSchema, output: PricedSchema })
  alwaysFails(): never {
    throw new Error('never');
  }

  @FlowStep({ input: OrderSchema })
  optionalParameters(order?: Order, ctx?: FlowContext): number | undefined {
    return order === undefined ? undefined : ctx?.attempt;
  }

  @FlowStep({ input: OrderSchema })
  unknownParameter(order: unknown, ctx: Pick<FlowContext, 'runId'>): string {
    return `${ctx.runId} ${String(order)}`;
  }

  @FlowStep({ input: RunSchema, output: RunSchema })
  protobuf(run: Run): Run {
    return run;
  }

  @FlowStep({ input: OrderSchema })
  furtherParameters(order: Order, ctx: FlowContext, decorated: string): string {
    return `${order.id} ${ctx.runId} ${decorated}`;
  }

  @FlowStep({ flow: Orders, after: ['anything', 'both'], input: OrderSchema, when: (order) => order.total > 1000 })
  typedCondition(order: Order): number {
    return order.id;
  }

  @FlowStep({ after: 'anything', when: (order: Order) => order.total > 1000 })
  annotatedCondition(order: Order): number {
    return order.id;
  }

  @FlowStep({ subject: 'orders', input: OrderSchema, runId: (order, message) => `${order.id}-${message.sequence}` })
  ingested(order: Order): number {
    return order.id;
  }

  @FlowStep()
  list(): number[] {
    return [1];
  }

  @FlowStep({ input: OrderSchema })
  private hidden(order: Order): number {
    return order.id;
  }
}

export class Misfits {
  // @ts-expect-error: the parameter is not the input
  @FlowStep({ input: OrderSchema })
  wrongParameter(name: string): string {
    return name;
  }

  // @ts-expect-error: the parameter wants more than the input has
  @FlowStep({ input: OrderSchema })
  narrowerParameter(priced: Priced): number {
    return priced.price;
  }

  // @ts-expect-error: the second parameter is not the context
  @FlowStep()
  wrongContext(order: Order, attempt: number): number {
    return order.id + attempt;
  }

  // @ts-expect-error: the result is not the output
  @FlowStep({ output: PricedSchema })
  wrongResult(order: Order): Order {
    return order;
  }

  // @ts-expect-error: the promise is not of the output
  @FlowStep({ output: PricedSchema })
  async wrongPromise(order: Order): Promise<Order> {
    return order;
  }

  // @ts-expect-error: null is no undefined
  @FlowStep({ output: OrderSchema })
  nullResult(order: Order): Order | null {
    return order.total > 0 ? order : null;
  }

  // @ts-expect-error: an output is declared, and nothing is ever returned
  @FlowStep({ output: OrderSchema })
  noResult(order: Order): void {
    order.id += 1;
  }

  // @ts-expect-error: several results
  @FlowStep()
  async *asyncGenerator(): AsyncGenerator<number> {
    yield 1;
  }

  // @ts-expect-error: several results
  @FlowStep()
  *generator(): Generator<number> {
    yield 1;
  }

  // @ts-expect-error: several results
  @FlowStep({ output: OrderSchema })
  observable(order: Order): Observable<Order> {
    return of(order);
  }

  // @ts-expect-error: no such property of the input
  @FlowStep({ input: OrderSchema, after: 'x', when: (order) => order.price > 1 })
  wrongCondition(order: Order): number {
    return order.id;
  }

  // @ts-expect-error: the input is not known, so the parameter needs a type
  @FlowStep({ after: 'x', when: (order) => order.total > 1 })
  untypedCondition(order: Order): number {
    return order.id;
  }

  // @ts-expect-error: no such option
  @FlowStep({ timout: '1s' })
  misspelt(order: Order): number {
    return order.id;
  }

  // @ts-expect-error: no duration
  @FlowStep({ timeout: 'soon' })
  noDuration(order: Order): number {
    return order.id;
  }

  // @ts-expect-error: a static method belongs to no provider
  @FlowStep()
  static onClass(order: Order): number {
    return order.id;
  }

  // @ts-expect-error: only methods are steps
  @FlowStep()
  property = 1;
}

// Any schema may stand for another where the type is not known.
expectTypeOf<MessageOf<MessageSchema>>().toEqualTypeOf<unknown>();
