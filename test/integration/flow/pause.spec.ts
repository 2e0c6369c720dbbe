import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  json,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { FlowOrchestrator } from '../../../lib/flow/flow.orchestrator.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Other = flow('other', { input: Text, output: Text });
const Held = flow('held', { input: Text, output: Text });

class Steps {
  readonly calls: string[] = [];

  @FlowStep({ flow: Line })
  first(text: string, ctx: FlowContext): string {
    this.calls.push(`${ctx.step}:${ctx.runId}`);
    return text;
  }
  @FlowStep({ flow: Line, after: 'first' })
  second(text: string, ctx: FlowContext): string {
    this.calls.push(`${ctx.step}:${ctx.runId}`);
    return text;
  }
  @FlowStep({ flow: Other })
  third(text: string): string {
    return text;
  }
}

class HeldSteps {
  readonly runIds: string[] = [];
  readonly done = gate();

  @FlowStep({ flow: Held, concurrency: 3 })
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.runIds.push(ctx.runId);
    await this.done.opened;
    return text;
  }
}

describe('pausing', () => {
  const nats = useFlowServer();

  const waiting = async (stream: string, consumer: string): Promise<number> =>
    (await nats.streams.manager.consumers.info(stream, consumer)).num_pending;

  /** Resolves when the consumer has no requests left: nothing can be pulled. */
  async function isQuiet(stream: string, ...consumers: string[]): Promise<void> {
    for (const consumer of consumers) {
      await until(async () => (await nats.streams.manager.consumers.info(stream, consumer)).num_waiting === 0, {
        what: `the end of the pulling of ${consumer}`,
      });
    }
  }

  it('a step keeps its messages in the stream, on every instance, until it is resumed', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    await using other = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    await flows.pause(Line, 'second');
    await isQuiet('FLOW_line', 'step_second');

    const runs = await Promise.all([1, 2, 3].map((number) => flows.start(Line, 'x', { runId: `step-${number}` })));
    await until(async () => (await waiting('FLOW_line', 'step_second')) === 3, { what: 'the waiting messages' });
    const calls = (): string[] => [...app.get(Steps).calls, ...other.get(Steps).calls];
    expect(calls().toSorted()).toEqual(['first:step-1', 'first:step-2', 'first:step-3']);
    for (const run of runs) expect((await run.status()).state).toBe('running');

    await flows.resume(Line, 'second');
    for (const run of runs) expect(await run.result()).toBe('x');
  });

  it('a flow stops all its steps and no other flow', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    await flows.pause(Line);
    await isQuiet('FLOW_line', 'start', 'step_first', 'step_second');
    const paused = await flows.start(Line, 'x', { runId: 'flow-1' });
    expect(await (await flows.start(Other, 'y')).result()).toBe('y');
    expect(await waiting('FLOW_line', 'start')).toBe(1);
    expect(app.get(Steps).calls).toEqual([]);
    await flows.resume(Line);
    expect(await paused.result()).toBe('x');
  });

  it('a step by itself lasts when its flow is resumed', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    await flows.pause(Line, 'second');
    await flows.pause(Line);
    await isQuiet('FLOW_line', 'start', 'step_second');
    const run = await flows.start(Line, 'x', { runId: 'nested' });
    await flows.resume(Line);
    await until(async () => (await waiting('FLOW_line', 'step_second')) === 1, { what: 'the waiting message' });
    await flows.resume(Line, 'second');
    expect(await run.result()).toBe('x');
  });

  it('outlasts a restart', async () => {
    {
      await using before = await startFlowApp(nats.url, [Steps]);
      await before.get(FlowClient).pause(Line);
      await isQuiet('FLOW_line', 'start');
    }
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    const run = await flows.start(Line, 'x', { runId: 'restarted' });
    expect(await (await flows.start(Other, 'y')).result()).toBe('y');
    expect(await nats.streams.manager.consumers.info('FLOW_line', 'start')).toMatchObject({
      num_pending: 1,
      num_waiting: 0,
      num_ack_pending: 0,
    });
    await flows.resume(Line);
    expect(await run.result()).toBe('x');
  });

  it('lets what is in hand come to its end', async () => {
    await using app = await startFlowApp(nats.url, [HeldSteps]);
    const flows = app.get(FlowClient);
    const steps = app.get(HeldSteps);
    const runs = await Promise.all(
      Array.from({ length: 10 }, (_, number) => flows.start(Held, 'x', { runId: `held-${number}` })),
    );
    await until(() => steps.runIds.length === 3, { what: 'three handlers' });
    await flows.pause(Held);
    await isQuiet('FLOW_held', 'start');
    steps.done.open();
    await until(() => app.get(FlowOrchestrator).inFlight().get('held')?.get('work') === 0, {
      what: 'the end of three',
    });
    expect(steps.runIds).toHaveLength(3);
    const ended = runs.filter(({ runId }) => steps.runIds.includes(runId));
    for (const run of ended) expect(await run.result()).toBe('x');
    await until(async () => (await waiting('FLOW_held', 'start')) === 7, { what: 'seven waiting' });

    await flows.resume(Held);
    for (const run of runs) expect(await run.result()).toBe('x');
    expect(steps.runIds.toSorted()).toEqual(runs.map(({ runId }) => runId).toSorted());
  });

  it('is told by every instance that obeys, by those that start later, and by the client', async () => {
    const start = (told: string[]): Promise<FlowTestApp> => {
      const take = (line: unknown): unknown => /paused|resumed/.test(String(line)) && told.push(String(line));
      return FlowTestApp.start(({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [Steps] }), {
        server: nats,
        logger: { log: take, warn: take, error: take },
      });
    };
    const [running, booting]: [string[], string[]] = [[], []];
    await using app = await start(running);
    const flows = app.get(FlowClient);
    expect(await flows.paused()).toEqual([]);
    await flows.pause(Line, 'second');
    await flows.pause(Other);
    await until(() => running.length === 2, { what: 'the pauses' });
    expect(running).toEqual([
      expect.stringMatching(/^Flow "line": step "second" is paused/),
      expect.stringMatching(/^Flow "other" is paused/),
    ]);
    const since = expect.any(Date) as Date;
    expect(await flows.paused()).toEqual([
      { flow: 'line', step: 'second', since },
      { flow: 'other', since },
    ]);

    await using other = await start(booting);
    expect(booting.toSorted()).toEqual([
      expect.stringMatching(/^Flow "line": step "second" is still paused/),
      expect.stringMatching(/^Flow "other" is still paused/),
    ]);
    await other.get(FlowClient).resume(Line, 'second');
    await flows.resume(Other);
    // Nest's log is one per process: the one of the application that started last.
    await until(() => booting.length === 6, { what: 'the ends of the pauses, from both' });
    const resumed = ['Flow "line": step "second" is resumed.', 'Flow "other" is resumed.'];
    expect(booting.slice(2).toSorted()).toEqual([resumed[0], resumed[0], resumed[1], resumed[1]]);
    expect(await flows.paused()).toEqual([]);
  });

  it.each(['', 'a.b', '*', '>', '='])('refuses what cannot be the name of a step: "%s"', async (name) => {
    await using app = await startFlowApp(nats.url, [], { consume: false });
    const flows = app.get(FlowClient);
    await expect(flows.pause(Line, name)).rejects.toThrow(ConfigurationError);
    await expect(flows.resume(Line, name)).rejects.toThrow(/no name of a step/);
  });

  it('a step that there is not is warned of by workers, now and at boot', async () => {
    const ignore = (): void => undefined;
    // An old server is warned of too.
    const isAboutPauses = (line: unknown): line is string => String(line).includes('paused');
    const start = (warnings: string[]): Promise<FlowTestApp> =>
      FlowTestApp.start(({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [Steps] }), {
        server: nats,
        logger: { log: ignore, error: ignore, warn: (line: unknown) => isAboutPauses(line) && warnings.push(line) },
      });
    const expected = [expect.stringMatching(/"line".*step "secnd" is paused.*Did you mean "second"\?/)];
    const [running, booting]: [string[], string[]] = [[], []];
    await using app = await start(running);
    const flows = app.get(FlowClient);
    await flows.pause(Line, 'secnd');
    await until(() => running.length > 0, { what: 'the warning' });
    await using other = await start(booting);
    expect(booting).toEqual(expected);

    // Others' changes do not repeat it.
    await flows.pause(Line, 'first');
    await flows.resume(Line, 'first');
    expect(await other.run(Line, 'x')).toBe('x');
    expect(running).toEqual(expected);
    await flows.resume(Line, 'secnd');
  });
});
