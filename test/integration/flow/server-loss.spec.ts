import { beforeEach, describe, expect, it } from 'vitest';
import {
  flow,
  FlowClient,
  FlowConnection,
  FlowError,
  FlowModule,
  FlowStep,
  getObjectStoreToken,
  json,
  KvObject,
  type FlowContext,
  type KvReducer,
  type ObjectStore,
} from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { TestStreams } from '../../support/jetstream-client.js';
import { needsServer } from '../../support/needs-server.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const QUICK = { reconnectWait: '100ms' } as const;

class Steps {
  readonly started: string[] = [];
  readonly signals: AbortSignal[] = [];
  wait = Promise.resolve();

  @FlowStep({ flow: Line, ackWait: '2s' })
  async first(text: string, ctx: FlowContext): Promise<string> {
    this.started.push(ctx.runId);
    this.signals.push(ctx.signal);
    await this.wait;
    return `${text}1`;
  }
  @FlowStep({ flow: Line, after: 'first', ackWait: '2s' })
  second(text: string): string {
    return `${text}2`;
  }
}

@KvObject({ bucket: 'counts', schema: json<number>('Count') })
class Counts implements KvReducer<number, number, string> {
  key(name: string): string {
    return name;
  }
  empty(): number {
    return 0;
  }
  apply(state: number, by: number): number {
    return state + by;
  }
}

describe('a server that is killed', { timeout: 60_000 }, () => {
  const nats = useFlowServer();

  beforeEach((context) => {
    needsServer(context, nats.server, '2.10', 'keeping consumers when the server is killed');
  });

  it('does not keep those who wait for a result from getting it', async () => {
    await using worker = await startFlowApp(nats.url, [Steps], QUICK);
    await using client = await startFlowApp(nats.url, [], { consume: false, ...QUICK });
    const open = gate();
    worker.get(Steps).wait = open.opened;
    const run = await client.get(FlowClient).start(Line, 'x', { runId: 'waited' });
    await until(() => worker.get(Steps).started.length === 1, { what: 'the handler' });
    const result = run.result();
    const states: string[] = [];
    const watching = (async () => {
      for await (const { state } of run.watch()) states.push(state);
    })();
    await until(() => states.length === 1, { what: 'the first status' });

    await nats.server.kill();
    await until(() => client.get(FlowConnection).status === 'disconnected', { what: 'the loss' });
    const during = client.get(FlowClient).run(Line, 'waited').result();
    await nats.server.restart();
    open.open();
    expect(await result).toBe('x12');
    expect(await during).toBe('x12');
    await watching;
    expect(states.at(-1)).toBe('completed');
  });

  it('holds up starts and steps until it is back, and loses none', async () => {
    await using app = await startFlowApp(nats.url, [Steps], QUICK);
    const flows = app.get(FlowClient);
    const ids = Array.from({ length: 50 }, (_, number) => `held-${number}`);
    // Half of them are started before, half while nobody is there.
    const before = ids.slice(0, 25).map((runId) => flows.start(Line, 'x', { runId }));
    await Promise.all(before);
    await nats.server.kill();
    await until(() => app.get(FlowConnection).status === 'disconnected', { what: 'the loss' });
    const during = ids.slice(25).map((runId) => flows.start(Line, 'x', { runId }));
    await nats.server.restart();
    for (const run of await Promise.all([...before, ...during])) expect(await run.result()).toBe('x12');
    // A new connection: the one from before may not know yet what happened.
    await using streams = await TestStreams.connect(nats.server);
    for (const step of ['first', 'second']) {
      const stored = await streams.subjects('FLOW_line', `flow.line.step.${step}.>`);
      expect([...stored.values()].every((count) => count === 1)).toBe(true);
    }
  });

  it('does not keep an application from closing, whatever it is at', async () => {
    const idle = await startFlowApp(nats.url, [], { consume: false, ...QUICK });
    const working = await startFlowApp(nats.url, [Steps], { shutdownTimeout: '300ms', ...QUICK });
    const steps = working.get(Steps);
    steps.wait = new Promise(() => undefined);
    await idle.get(FlowClient).start(Line, 'x', { runId: 'left' });
    await until(() => steps.started.length === 1, { what: 'the handler' });
    await nats.server.kill();
    await until(() => working.get(FlowConnection).status === 'disconnected', { what: 'the loss' });

    const closingAt = performance.now();
    await Promise.all([idle.close(), working.close()]);
    expect(performance.now() - closingAt).toBeLessThan(5_000);
    expect(steps.signals[0]?.reason).toMatchObject({ code: 'SHUTDOWN' });

    await nats.server.restart();
    await using next = await startFlowApp(nats.url, [Steps], QUICK);
    expect(await next.get(FlowClient).run(Line, 'left').result()).toBe('x12');
  });

  it('does not keep one from closing in its time while results and states wait to be stored', async () => {
    const errors: string[] = [];
    const ignore = (): void => undefined;
    const options = { shutdownTimeout: '700ms', ...QUICK } as const;
    const app = await FlowTestApp.start(
      ({ url }) => ({
        imports: [FlowModule.forRoot({ servers: url, ...options }), FlowModule.forFeature({ objects: [Counts] })],
        providers: [Steps],
      }),
      { server: nats, logger: { log: ignore, warn: ignore, error: (line: unknown) => errors.push(String(line)) } },
    );
    const steps = app.get(Steps);
    const open = gate();
    steps.wait = open.opened;
    await app.get(FlowClient).start(Line, 'x', { runId: 'waiting' });
    await until(() => steps.started.length === 1, { what: 'the handler' });
    await nats.server.kill();
    await until(() => app.get(FlowConnection).status === 'disconnected', { what: 'the loss' });
    const store = app.get<ObjectStore<Counts>>(getObjectStoreToken(Counts));
    const counting = expect(store.update('a', 1)).rejects.toThrow(FlowError);
    open.open();

    const closingAt = performance.now();
    await app.close();
    const took = performance.now() - closingAt;
    expect(took).toBeGreaterThan(690);
    expect(took).toBeLessThan(1_500);
    await counting;
    expect(errors).toEqual([
      expect.stringMatching(
        /Step "first": the time for the shutdown is over, and 1 of its messages have not come to their end/,
      ),
      expect.stringMatching(/The time for the shutdown is over: the connection is closed/),
    ]);

    await nats.server.restart();
    await using next = await startFlowApp(nats.url, [Steps], QUICK);
    expect(await next.get(FlowClient).run(Line, 'waiting').result()).toBe('x12');
  });
});
