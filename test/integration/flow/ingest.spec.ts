import { describe, expect, it } from 'vitest';
import { Flow, flow, FlowClient, FlowStep, json, type FlowContext, type FlowMessage } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

interface Order {
  id: string;
}
const OrderSchema = json<Order>('Order');
const Text = json<string>('Text');

const Own = flow('own', { input: OrderSchema, output: Text, retention: '1h' });

@Flow(Own)
class OwnFlow {
  readonly messages: FlowMessage[] = [];
  readonly runIds: string[] = [];

  @FlowStep({ subject: 'own.created' })
  take(order: Order, ctx: FlowContext): string {
    this.messages.push(ctx.message);
    this.runIds.push(ctx.runId);
    return order.id;
  }
}

const Foreign = flow('foreign', { input: OrderSchema, output: Text });

@Flow(Foreign)
class ForeignFlow {
  readonly taken: string[] = [];

  @FlowStep({ subject: 'shop.orders.*.created', runId: (order: Order) => `order-${order.id}`, input: OrderSchema })
  take(order: Order, ctx: FlowContext): string {
    this.taken.push(`${ctx.message.subject}#${order.id}`);
    return order.id;
  }
  @FlowStep({ after: 'take' })
  end(id: string): string {
    return `${id}!`;
  }
}

const Several = flow('several', { input: OrderSchema, output: Text });

@Flow(Several)
class SeveralFlow {
  readonly taken: string[] = [];

  @FlowStep({ subject: ['several.web', 'several.shop.>'], input: OrderSchema })
  take(order: Order, ctx: FlowContext): string {
    this.taken.push(`${ctx.message.subject}#${order.id}`);
    return order.id;
  }
}

const TwoEntries = flow('two_entries', { input: OrderSchema, output: Text });

@Flow(TwoEntries)
class TwoEntriesFlow {
  @FlowStep({ subject: 'two.web', input: OrderSchema, output: Text, runId: ({ id }) => id })
  web({ id }: Order): string {
    return `web ${id}`;
  }
  @FlowStep({ subject: 'two.phone', input: OrderSchema, output: Text, runId: ({ id }) => id })
  phone({ id }: Order): string {
    return `phone ${id}`;
  }
  @FlowStep({ output: Text })
  started({ id }: Order): string {
    return `started ${id}`;
  }
  @FlowStep({ after: ['web', 'phone', 'started'] })
  end(text: string): string {
    return text;
  }
}

describe('external subjects', () => {
  const nats = useFlowServer();

  it('are ingested into a stream of the flow when none has them, and clients can start the flow too', async () => {
    await using app = await startFlowApp(nats.url, [OwnFlow]);
    const sequence = await nats.streams.publish('own.created', { id: 'a' });
    const { messages, runIds } = app.get(OwnFlow);
    await until(() => messages.length === 1, { what: 'the message' });
    expect(messages[0]).toMatchObject({ subject: 'own.created', stream: 'FLOW_own_IN', sequence });
    expect(messages[0]!.publishedAt.getTime()).toBeGreaterThan(Date.now() - 60_000);
    expect(Buffer.from(messages[0]!.data).toString()).toBe('{"id":"a"}');
    expect(runIds).toEqual([`FLOW_own_IN-${sequence}`]);

    const { config } = await nats.streams.manager.streams.info('FLOW_own_IN');
    expect(config).toMatchObject({ subjects: ['own.created'], max_age: 3_600_000_000_000 });
    const flows = app.get(FlowClient);
    expect(await flows.run(Own, runIds[0]!).result()).toBe('a');
    const started = await flows.start(Own, { id: 'b' });
    expect(await started.result()).toBe('b');
  });

  it('are taken from the stream that has them, which stays as it is, old messages included', async () => {
    const { streams } = nats;
    await streams.manager.streams.add({ name: 'SHOP', subjects: ['shop.>'], max_msgs: 1_000 });
    await streams.publish('shop.orders.eu.created', { id: '1' });
    await streams.publish('shop.orders.eu.deleted', { id: '1' });
    await using app = await startFlowApp(nats.url, [ForeignFlow]);
    await streams.publish('shop.orders.us.created', { id: '2' });

    const flows = app.get(FlowClient);
    await until(() => app.get(ForeignFlow).taken.length === 2, { what: 'both orders' });
    expect(app.get(ForeignFlow).taken.toSorted()).toEqual(['shop.orders.eu.created#1', 'shop.orders.us.created#2']);
    expect(await flows.run(Foreign, 'order-1').result()).toBe('1!');
    expect(await flows.run(Foreign, 'order-2').result()).toBe('2!');
    expect((await streams.manager.streams.info('SHOP')).config).toMatchObject({
      subjects: ['shop.>'],
      max_msgs: 1_000,
    });
    await expect(streams.manager.streams.info('FLOW_foreign_IN')).rejects.toThrow(/not found/);
  });

  it('that were there before are passed over by a step that wants new ones, once and for all', async () => {
    const { streams } = nats;
    await streams.manager.streams.add({ name: 'LONG', subjects: ['long.history'] });
    await streams.publish('long.history', { id: 'old' });
    const takers = (deliver: 'all' | 'new') => {
      const contract = flow('recent', { input: OrderSchema, output: Text });
      @Flow(contract)
      class RecentFlow {
        readonly taken: string[] = [];

        @FlowStep({ subject: 'long.history', deliver })
        take({ id }: Order): string {
          this.taken.push(id);
          return id;
        }
      }
      return RecentFlow;
    };
    const Recent = takers('new');
    {
      await using app = await startFlowApp(nats.url, [Recent]);
      await streams.publish('long.history', { id: 'new' });
      await until(() => app.get(Recent).taken.length > 0, { what: 'the new order' });
      expect(app.get(Recent).taken).toEqual(['new']);
    }
    await streams.publish('long.history', { id: 'meanwhile' });
    await using again = await startFlowApp(nats.url, [Recent]);
    await until(() => again.get(Recent).taken.length > 0, { what: 'the order from before the restart' });
    expect(again.get(Recent).taken).toEqual(['meanwhile']);
    await expect(startFlowApp(nats.url, [takers('all')])).rejects.toThrow(
      /deliver_policy: have "new", want "all"\. Where a consumer begins is fixed.*nats consumer rm LONG flow_recent=take=/,
    );
  });

  it('may be several, patterns too, for one step', async () => {
    await using app = await startFlowApp(nats.url, [SeveralFlow]);
    await nats.streams.publish('several.web', { id: '1' });
    await nats.streams.publish('several.shop.berlin.4', { id: '2' });
    await nats.streams.publish('several.shop.paris', { id: '3' });
    const { taken } = app.get(SeveralFlow);
    await until(() => taken.length === 3, { what: 'three orders' });
    expect(taken.toSorted()).toEqual(['several.shop.berlin.4#2', 'several.shop.paris#3', 'several.web#1']);
  });

  it('may lead to several entries, whose messages of one run id are one run', async () => {
    await using app = await startFlowApp(nats.url, [TwoEntriesFlow]);
    const flows = app.get(FlowClient);
    await nats.streams.publish('two.web', { id: 'a' });
    const run = flows.run(TwoEntries, 'a');
    await until(async () => (await run.status()).state === 'completed', { what: 'the web order' });
    expect(await run.result()).toBe('web a');

    await nats.streams.publish('two.phone', { id: 'a' });
    await until(async () => (await run.result()) === 'phone a', { what: 'the phone order' });
    expect(await (await flows.start(TwoEntries, { id: 'a' }, { runId: 'a' })).result()).toMatch(/ a$/);
    await until(async () => (await run.result()) === 'started a', { what: 'the started order' });
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });

    // A client that died, or has yet to count what it started.
    await nats.streams.publish('two.web', { id: 'b' });
    await until(async () => (await flows.run(TwoEntries, 'b').result().catch(String)) === 'web b', { what: 'b' });
    await nats.streams.publish('flow.two_entries.start.b', { id: 'b' });
    await until(async () => (await flows.run(TwoEntries, 'b').result()) === 'started b', { what: 'its start' });
    expect(await flows.run(TwoEntries, 'b').status()).toMatchObject({ state: 'completed', pending: 0 });

    // The same entries again change nothing.
    await nats.streams.publish('two.web', { id: 'a' });
    await flows.start(TwoEntries, { id: 'a' }, { runId: 'a' });
    await until(
      async () => (await nats.streams.unfinished('FLOW_two_entries_IN', 'flow_two_entries=web=two=2Eweb')) === 0,
      { what: 'the repeated order' },
    );
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
    const stored = await nats.streams.subjects('FLOW_two_entries', 'flow.two_entries.step.end.a.>');
    expect([...stored.keys()].toSorted()).toEqual(
      ['phone', 'started', 'web'].map((from) => `flow.two_entries.step.end.a.${from}`),
    );
  });
});
