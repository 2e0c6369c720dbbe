import { Injectable, type LoggerService } from '@nestjs/common';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  DeadLetters,
  Flow,
  flow,
  FlowClient,
  FlowConnection,
  FlowModule,
  FlowStep,
  getFlowToken,
  InjectFlow,
  InjectObjectStore,
  json,
  KvObject,
  TerminalError,
  type FlowContext,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer, FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { connectForTest } from '../../support/connect-for-test.js';

interface Order {
  id: string;
  amount: number;
}
interface Invoice {
  order: string;
  total: number;
}

const Orders = flow('orders', { input: json<Order>('Order'), output: json<Invoice>('Invoice') });
const Invoices = flow('invoices', { input: json<Order>('Order'), output: json<Invoice>('Invoice') });

@KvObject({ bucket: 'turnover', schema: json<{ sum: number }>('Turnover') })
class Turnover implements KvReducer<{ sum: number }, number, { of: string }> {
  key({ of }: { of: string }): string {
    return of;
  }
  empty(): { sum: number } {
    return { sum: 0 };
  }
  apply(state: { sum: number }, amount: number): void {
    state.sum += amount;
  }
}

/** Lives on the default connection and has its invoices made over the other one. */
@Flow(Orders)
class OrderFlow {
  constructor(
    @InjectFlow(FlowClient, 'billing') private readonly billing: FlowClient,
    @InjectObjectStore(Turnover) private readonly turnover: ObjectStore<Turnover>,
  ) {}

  @FlowStep({ output: json<Invoice>('Invoice') })
  async invoice(order: Order, ctx: FlowContext): Promise<Invoice | undefined> {
    await this.turnover.update({ of: 'orders' }, order.amount, { idempotencyKey: ctx.runId });
    const run = await this.billing.start(Invoices, order, { runId: order.id });
    return run.result({ signal: ctx.signal });
  }
}

@Flow(Invoices)
class InvoiceFlow {
  constructor(@InjectObjectStore(Turnover, 'billing') private readonly turnover: ObjectStore<Turnover>) {}

  @FlowStep({ output: json<Invoice>('Invoice') })
  async write({ id, amount }: Order, ctx: FlowContext): Promise<Invoice> {
    if (amount < 0) throw new TerminalError('a negative invoice');
    await this.turnover.update({ of: 'invoices' }, amount * 2, { idempotencyKey: ctx.runId });
    return { order: id, total: amount * 2 };
  }
}

/** What a service of the application asks for. */
@Injectable()
class Desk {
  constructor(
    readonly flows: FlowClient,
    readonly deadLetters: DeadLetters,
    @InjectFlow(DeadLetters, 'billing') readonly billingDeadLetters: DeadLetters,
    @InjectFlow(FlowConnection, 'billing') readonly billingConnection: FlowConnection,
    @InjectObjectStore(Turnover) readonly turnover: ObjectStore<Turnover>,
    @InjectObjectStore(Turnover, 'billing') readonly billingTurnover: ObjectStore<Turnover>,
  ) {}
}

async function streamsOf(server: EmbeddedNatsServer): Promise<string[]> {
  await using connection = await connectForTest(server);
  const manager = await jetstreamManager(connection);
  return (await manager.streams.list().next()).map((info) => info.config.name).sort();
}

describe('several connections', () => {
  let shop: EmbeddedNatsServer;
  let billing: EmbeddedNatsServer;

  beforeAll(async () => {
    [shop, billing] = await Promise.all([EmbeddedNatsServer.start(), EmbeddedNatsServer.start()]);
  });
  afterAll(async () => {
    await Promise.all([shop.stop(), billing.stop()]);
  });

  const startBoth = (): Promise<FlowTestApp> =>
    FlowTestApp.start(
      () => ({
        imports: [
          FlowModule.forRoot({ servers: shop.url, name: 'shop' }),
          FlowModule.forRootAsync({
            key: 'billing',
            useFactory: () => ({ servers: billing.url, name: 'billing', flows: [Invoices] }),
          }),
          FlowModule.forFeature({ objects: [Turnover] }),
          FlowModule.forFeature({ objects: [Turnover], key: 'billing' }),
        ],
        providers: [OrderFlow, InvoiceFlow, Desk],
      }),
      { server: shop, logger: false },
    );

  it('each have their flows, objects and dead letters, in one application', async () => {
    await using app = await startBoth();
    const desk = app.get(Desk);
    expect(await app.run(Orders, { id: 'o-1', amount: 21 })).toEqual({ order: 'o-1', total: 42 });

    expect(await streamsOf(shop)).toEqual(['FLOW_CONTROL', 'FLOW_DEAD', 'FLOW_orders', 'KV_turnover']);
    expect(await streamsOf(billing)).toEqual(['FLOW_CONTROL', 'FLOW_DEAD', 'FLOW_invoices', 'KV_turnover']);
    expect(await desk.turnover.read({ of: 'orders' })).toEqual({ sum: 21 });
    expect(await desk.turnover.read({ of: 'invoices' })).toBeUndefined();
    expect(await desk.billingTurnover.read({ of: 'invoices' })).toEqual({ sum: 42 });

    const bad = await app.get(getFlowToken(FlowClient, 'billing')).start(Invoices, { id: 'bad', amount: -1 });
    await expect(bad.result()).rejects.toThrow('negative');
    const dead = async (letters: DeadLetters): Promise<string[]> => {
      const runs: string[] = [];
      for await (const { runId } of letters.list()) runs.push(runId);
      return runs;
    };
    expect(await dead(desk.billingDeadLetters)).toEqual([bad.runId]);
    expect(await dead(desk.deadLetters)).toEqual([]);
    expect(desk.billingConnection.name).toBe('billing');
    expect(app.get(FlowConnection).name).toBe('shop');
  });

  it('are all closed with their application', async () => {
    const app = await startBoth();
    const connections = [app.get(FlowConnection), app.get(getFlowToken(FlowConnection, 'billing'))];
    expect(connections.map(({ status }) => status)).toEqual(['connected', 'connected']);
    await app.close();
    expect(connections.map(({ status }) => status)).toEqual(['closed', 'closed']);
  });

  it('must have keys of their own', async () => {
    const starting = FlowTestApp.start(
      () => ({ imports: [FlowModule.forRoot({ servers: shop.url }), FlowModule.forRoot({ servers: billing.url })] }),
      { server: shop, logger: false },
    );
    await expect(starting).rejects.toThrow(ConfigurationError);
    await expect(starting).rejects.toThrow('more than once without a key');
  });

  it('say which flows do not run, and which have no steps', async () => {
    const lines: string[] = [];
    const keep = (message: unknown): void => {
      lines.push(String(message));
    };
    const logger: LoggerService = { log: keep, warn: keep, error: keep };
    const app = await FlowTestApp.start(
      () => ({
        imports: [
          FlowModule.forRoot({ servers: billing.url, key: 'billing', flows: [Orders] }),
          FlowModule.forFeature({ objects: [Turnover], key: 'billing' }),
        ],
        providers: [InvoiceFlow],
      }),
      { server: billing, logger },
    );
    await app.close();
    expect(lines).toContain('Flow "invoices" does not run in this application: no connection names it in "flows".');
    expect(lines).toContain('"flows" names "orders", but no provider of this application has steps of it.');
  });
});

const Echoes = flow('echoes', { input: json<string>('Text'), output: json<string>('Text') });

@Flow(Echoes)
class EchoFlow {
  readonly heard: string[] = [];

  @FlowStep({})
  echo(text: string): string {
    this.heard.push(text);
    return `${text}!`;
  }
}

describe('two applications in one process', () => {
  const start = (server?: EmbeddedNatsServer): Promise<FlowTestApp> =>
    FlowTestApp.start(({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [EchoFlow] }), {
      server,
      logger: false,
    });

  it('do not see each other over different servers', async () => {
    await using first = await start();
    const second = await start();
    const runs = await Promise.all([
      first.run(Echoes, 'one', { runId: 'same' }),
      second.run(Echoes, 'two', { runId: 'same' }),
    ]);
    expect(runs).toEqual(['one!', 'two!']);
    expect(first.get(EchoFlow).heard).toEqual(['one']);
    expect(second.get(EchoFlow).heard).toEqual(['two']);

    await second.close();
    expect(await first.run(Echoes, 'three')).toBe('three!');
  });

  it('share the work over one server, and go on when one of them closes', async () => {
    await using server = await EmbeddedNatsServer.start();
    await using first = await start(server);
    const second = await start(server);
    const texts = Array.from({ length: 40 }, (_, n) => `t${n}`);
    await Promise.all(texts.map((text) => first.run(Echoes, text)));
    const heard = [first.get(EchoFlow).heard, second.get(EchoFlow).heard];
    expect(heard.flat().sort()).toEqual(texts.sort());
    for (const own of heard) expect(own.length).toBeGreaterThan(0);

    await second.close();
    const more = Array.from({ length: 20 }, (_, n) => `m${n}`);
    await Promise.all(more.map((text) => first.run(Echoes, text)));
    expect(second.get(EchoFlow).heard.some((text) => text.startsWith('m'))).toBe(false);
  });
});
