import { Injectable, Module } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { json } from '../../../../lib/codec/message-schema.js';
import { flow } from '../../../../lib/flow/contract.js';
import { Flow } from '../../../../lib/flow/decorators/flow.decorator.js';
import { FlowStep } from '../../../../lib/flow/decorators/flow-step.decorator.js';
import { planFlows } from '../../../../lib/flow/graph/plan-flows.js';
import { fakeFlowContext } from '../../../support/flow-steps.js';
import { StepApplication } from '../../../support/step-application.js';

const Orders = flow('orders', { input: json<number>() });
const Refunds = flow('refunds', { input: json<number>() });
const ctx = fakeFlowContext();

@Injectable()
class Prices {
  readonly factor: number = 2;
}

@Injectable()
abstract class PricingBase {
  constructor(protected readonly prices: Prices) {}

  @FlowStep()
  price(input: number): number {
    return input * this.prices.factor;
  }

  @FlowStep({ after: 'price' })
  check(input: number): string {
    return `base ${input}`;
  }

  @FlowStep({ after: 'check' })
  report(input: string): string {
    return input;
  }
}

@Flow(Orders)
@Injectable()
class OrderFlow extends PricingBase {
  override check(input: number): string {
    return `overridden ${input}`;
  }

  @FlowStep({ after: 'price' })
  override report(input: string): string {
    return super.report(input);
  }
}

@Injectable()
class Ledger {
  @FlowStep({ flow: Orders, after: 'check', name: 'book' })
  write(input: string): string {
    return input;
  }

  @FlowStep({ flow: Refunds })
  refund(input: number): number {
    return input;
  }
}

@Module({ providers: [Ledger, { provide: 'other name', useExisting: Ledger }] })
class LedgerModule {}

@Module({ imports: [LedgerModule], providers: [Prices, OrderFlow] })
class OrderModule {}

it('reports a generator at boot, as far as a compiler did not', async () => {
  const decorate = FlowStep({ name: 'many' }) as MethodDecorator;
  @Injectable()
  class Many {
    *many(): Generator<number> {
      yield 1;
    }
    async *asyncMany(): AsyncGenerator<number> {
      yield 1;
    }
  }
  for (const name of ['many', 'asyncMany'] as const) {
    decorate(Many.prototype, name, Object.getOwnPropertyDescriptor(Many.prototype, name) ?? {});
  }
  await using app = await StepApplication.start({ providers: [Many] });
  expect(app.problems().filter((problem) => problem.includes('is a generator'))).toHaveLength(2);
});

describe('FlowExplorer', () => {
  it('finds the steps of one flow in providers of several modules, each once', async () => {
    await using app = await StepApplication.start({ imports: [OrderModule] });
    const found = app.steps.map(({ contract, methodName, where }) => `${contract?.name} ${methodName} ${where}`);
    expect(found.sort()).toEqual([
      'orders check OrderFlow.check',
      'orders price OrderFlow.price',
      'orders report OrderFlow.report',
      'orders write Ledger.write',
      'refunds refund Ledger.refund',
    ]);
  });

  it('sees inherited steps, with the options of the subclass where it has its own', async () => {
    await using app = await StepApplication.start({ imports: [OrderModule] });
    const report = app.steps.find((step) => step.methodName === 'report');
    expect(report?.options.after).toBe('price');
    expect(await app.handler('price')(21, ctx)).toBe(42);
    expect(await app.handler('check')(21, ctx)).toBe('overridden 21');
  });

  it('leads to a plan of every flow', async () => {
    await using app = await StepApplication.start({ imports: [OrderModule] });
    const plans = planFlows(app.steps);
    const shape = plans.map(({ graph, declared }) => [
      graph.contract.name,
      [...graph.steps.keys()],
      [...declared.keys()],
    ]);
    expect(new Map(shape.map(([name, steps]) => [name, steps]))).toEqual(
      new Map([
        ['orders', expect.arrayContaining(['price', 'check', 'report', 'book'])],
        ['refunds', ['refund']],
      ]),
    );
  });

  it('keeps two applications of one process apart', async () => {
    @Injectable()
    class DoublePrices extends Prices {
      override readonly factor = 4;
    }
    await using first = await StepApplication.start({ imports: [OrderModule] });
    await using second = await StepApplication.start({
      providers: [OrderFlow, { provide: Prices, useClass: DoublePrices }],
    });
    const handlers = [first.handler('price'), second.handler('price')];
    expect(await Promise.all(handlers.map((handler) => handler(10, ctx)))).toEqual([20, 40]);
  });
});
