import { expect, it } from 'vitest';
import { Flow, flow, FlowClient, FlowModule, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { useFlowServer } from '../../support/flow-server.js';

const Orders = flow('logged', { input: json<string>('Text'), output: json<string>('Text') });

@Flow(Orders)
class OrderFlow {
  @FlowStep()
  price(order: string, ctx: FlowContext): string {
    ctx.logger.log(`prices ${order}`);
    return order;
  }
}

const nats = useFlowServer();

it('the log of a step tells which method wrote', async () => {
  const lines: [message: unknown, context: unknown][] = [];
  const keep = (message: unknown, context: unknown): unknown => lines.push([message, context]);
  await using app = await FlowTestApp.start(
    ({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [OrderFlow] }),
    { server: nats, logger: { log: keep, warn: keep, error: keep } },
  );
  const run = await app.get(FlowClient).start(Orders, 'a book');
  expect(await run.result()).toBe('a book');
  expect(lines).toContainEqual(['prices a book', 'OrderFlow.price']);
});
