import { describe, expect, it } from 'vitest';
import { DeadLetters, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

interface Order {
  id: string | null;
}
const OrderSchema = json<Order>('Order');
const Text = json<string>('Text');

const Given = flow('given', { input: OrderSchema, output: Text });

class GivenSteps {
  readonly runIds: string[] = [];
  readonly metadata: unknown[] = [];

  @FlowStep({ flow: Given, subject: 'given.order' })
  take(_order: Order, ctx: FlowContext): string {
    this.runIds.push(ctx.runId);
    this.metadata.push(ctx.metadata);
    return 'taken';
  }
  @FlowStep({ flow: Given, after: 'take' })
  end(text: string): string {
    return text;
  }
}

const Again = flow('again', { input: OrderSchema, output: Text });

class AgainSteps {
  readonly taken: string[] = [];
  readonly ended: string[] = [];

  /** One at a time, so that the order of the messages is that of the effects. */
  @FlowStep({ flow: Again, subject: 'again.order', concurrency: 1 })
  take(_order: Order, ctx: FlowContext): string {
    this.taken.push(ctx.runId);
    return 'taken';
  }
  @FlowStep({ flow: Again, after: 'take', concurrency: 1 })
  end(_text: string, ctx: FlowContext): void {
    this.ended.push(ctx.runId);
  }
}

const Chosen = flow('chosen', { input: OrderSchema, output: Text });

class ChosenSteps {
  readonly calls: string[] = [];

  @FlowStep({
    flow: Chosen,
    subject: 'chosen.order',
    input: OrderSchema,
    // Callers without types give what they like.
    runId: ({ id }) => {
      if (id === 'throws') throw new Error('no id today');
      return id as string;
    },
    retry: { attempts: 1, delay: () => 0 },
  })
  take({ id }: Order): string {
    this.calls.push(id ?? '');
    return 'taken';
  }
}

const Twins = flow('twins', { input: OrderSchema, output: Text });

class TwinSteps {
  readonly ended: string[] = [];
  rightMayGo = Promise.resolve();

  @FlowStep({ flow: Twins, subject: 'twins.order', input: OrderSchema, output: Text })
  left(): string {
    return 'left';
  }
  @FlowStep({ flow: Twins, subject: 'twins.>', input: OrderSchema, output: Text })
  async right(): Promise<string> {
    await this.rightMayGo;
    return 'right';
  }
  @FlowStep({ flow: Twins, after: ['left', 'right'] })
  end(text: string, ctx: FlowContext): string {
    this.ended.push(`${ctx.runId}:${text}`);
    return text;
  }
}

const Shared = ['one', 'two', 'three'].map((name) => flow(`shared_${name}`, { input: OrderSchema, output: Text }));

class SharedSteps {
  readonly taken: string[] = [];

  @FlowStep({ flow: Shared[0]!, subject: 'shared.order' })
  one(_order: Order, ctx: FlowContext): void {
    this.taken.push(`one ${ctx.runId}`);
  }
  @FlowStep({ flow: Shared[1]!, subject: 'shared.order' })
  two(_order: Order, ctx: FlowContext): void {
    this.taken.push(`two ${ctx.runId}`);
  }
  @FlowStep({ flow: Shared[2]!, subject: 'shared.order' })
  three(_order: Order, ctx: FlowContext): void {
    this.taken.push(`three ${ctx.runId}`);
  }
}

describe('the run of an external message', () => {
  const nats = useFlowServer();

  it('is named by Flow-Run-Id, else by Nats-Msg-Id, else by stream and sequence', async () => {
    await using app = await startFlowApp(nats.url, [GivenSteps]);
    const order = { id: 'x' };
    await nats.streams.publish('given.order', order, { id: 'msg-1', headers: { 'Flow-Run-Id': 'run 1.ä' } });
    await nats.streams.publish('given.order', order, { id: 'msg-2' });
    const sequence = await nats.streams.publish('given.order', order);
    const { runIds } = app.get(GivenSteps);
    await until(() => runIds.length === 3, { what: 'three orders' });
    expect(runIds.toSorted()).toEqual([`FLOW_given_IN-${sequence}`, 'msg-2', 'run 1.ä']);
    for (const runId of runIds) expect(await app.get(FlowClient).run(Given, runId).result()).toBe('taken');
  });

  it('has the metadata of its header', async () => {
    await using app = await startFlowApp(nats.url, [GivenSteps]);
    const headers = { 'Flow-Metadata': '{"tenant":"acme"}' };
    await nats.streams.publish('given.order', { id: 'x' }, { id: 'with-metadata', headers });
    const run = app.get(FlowClient).run(Given, 'with-metadata');
    await until(async () => (await run.status()).state === 'completed', { what: 'the run' });
    expect(app.get(GivenSteps).metadata).toEqual([{ tenant: 'acme' }]);
    expect((await run.status()).metadata).toEqual({ tenant: 'acme' });
  });

  it('advances once when its message is published again after the duplicate window', async () => {
    const { streams } = nats;
    await streams.manager.streams.add({ name: 'AGAIN', subjects: ['again.order'], duplicate_window: 100_000_000 });
    await using app = await startFlowApp(nats.url, [AgainSteps]);
    const { taken, ended } = app.get(AgainSteps);
    const first = await streams.publish('again.order', { id: 'x' }, { id: 'again' });
    const run = app.get(FlowClient).run(Again, 'again');
    await until(async () => (await run.status()).state === 'completed', { what: 'the run' });
    await until(async () => (await streams.publish('again.order', { id: 'x' }, { id: 'again' })) > first, {
      what: 'the end of the duplicate window',
    });
    await until(() => taken.length === 2, { what: 'the second message' });
    // A message behind it, so that what the second one might have sent would have come by now.
    await streams.publish('again.order', { id: 'y' }, { id: 'behind' });
    await until(() => ended.includes('behind'), { what: 'the message behind' });
    expect(ended).toEqual(['again', 'behind']);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it.each([
    ['', 'is empty'],
    [null, 'is no text but null'],
    ['x'.repeat(600), 'is too long'],
    ['throws', 'no id today'],
  ])('ends in the dead letters when its id cannot be one (%#)', async (id, problem) => {
    await using app = await startFlowApp(nats.url, [ChosenSteps]);
    const sequence = await nats.streams.publish('chosen.order', { id });
    await nats.streams.publish('chosen.order', { id: `good-${sequence}` });
    const letters = app.get(DeadLetters);
    const letter = await until(() => letters.get(`chosen.take.FLOW_chosen_IN-${sequence}`), { what: 'the letter' });
    expect(letter.error.message).toContain(problem);
    await until(() => app.get(ChosenSteps).calls.includes(`good-${sequence}`), { what: 'the good order' });
  });

  it('ends in the dead letters when its message id is too long for a subject', async () => {
    await using app = await startFlowApp(nats.url, [GivenSteps]);
    const sequence = await nats.streams.publish('given.order', { id: 'x' }, { id: 'm'.repeat(5_000) });
    const letters = app.get(DeadLetters);
    const letter = await until(() => letters.get(`given.take.FLOW_given_IN-${sequence}`), { what: 'the letter' });
    expect(letter.reason).toBe('undecodable');
    expect(letter.error.message).toContain('is too long');
  });

  it('goes to every entry that listens to its subject, and ends when all have', async () => {
    await using app = await startFlowApp(nats.url, [TwinSteps]);
    const { ended } = app.get(TwinSteps);
    const flows = app.get(FlowClient);
    const ids = Array.from({ length: 20 }, (_, at) => `twin-${at}`);
    await Promise.all(ids.map((id) => nats.streams.publish('twins.order', { id }, { id })));
    await nats.streams.publish('twins.other', { id: 'other' }, { id: 'other' });
    await until(() => ended.length === 41, { what: 'all ends' });
    for (const id of [...ids, 'other']) {
      const run = flows.run(Twins, id);
      await run.result();
      expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
    }
    expect(new Set(ended).size).toBe(41);

    const open = gate();
    app.get(TwinSteps).rightMayGo = open.opened;
    await nats.streams.publish('twins.order', { id: 'half' }, { id: 'half' });
    await until(() => ended.includes('half:left'), { what: 'the end of one half' });
    const half = flows.run(Twins, 'half');
    await until(async () => (await half.status()).pending === 1, { what: 'its record' });
    expect((await half.status()).state).toBe('running');
    open.open();
    expect(await half.result()).toBe('right');
  });

  it('is one in each of several flows that listen to one subject and boot at once', async () => {
    await using app = await startFlowApp(nats.url, [SharedSteps]);
    await nats.streams.publish('shared.order', { id: 'x' }, { id: 'x' });
    const { taken } = app.get(SharedSteps);
    await until(() => taken.length === 3, { what: 'all flows' });
    expect(taken.toSorted()).toEqual(['one x', 'three x', 'two x']);
  });
});
