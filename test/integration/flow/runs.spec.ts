import { describe, expect, it } from 'vitest';
import {
  CancelledError,
  ConfigurationError,
  DeadLetters,
  EncodeError,
  fixed,
  flow,
  FlowClient,
  FlowStep,
  json,
  MessageTooLargeError,
  NotFoundError,
  type FlowContext,
  type RunStatus,
  type StartOptions,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate, type Gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Never = flow('never_run', { input: Text, output: Text });

class Steps {
  readonly inputs: string[] = [];
  readonly gates = new Map<string, Gate>();
  broken = false;

  @FlowStep({ flow: Line })
  async first(text: string, ctx: FlowContext): Promise<string> {
    this.inputs.push(text);
    await this.gates.get(ctx.runId)?.opened;
    return `${text}1`;
  }
  @FlowStep({ flow: Line, after: 'first', retry: fixed(1, { attempts: 1 }) })
  second(text: string): string {
    if (this.broken) throw new Error('second is broken');
    return `${text}2`;
  }
}

describe('a run', () => {
  const nats = useFlowServer();

  it('is started once, however many start it at the same time', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    await using other = await startFlowApp(nats.url, [], { consume: false });
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 ? app : other).get(FlowClient).start(Line, 'x', { runId: 'once' })),
    );
    for (const run of runs) expect(await run.result()).toBe('x12');
    const later = await app.get(FlowClient).start(Line, 'another input', { runId: 'once', metadata: { a: 'b' } });
    expect(await later.result()).toBe('x12');
    expect(await later.status()).toMatchObject({ state: 'completed', metadata: {} });

    // A run behind it has passed both steps, so anything that was started twice would have come.
    expect(await app.run(Line, 'behind')).toBe('behind12');
    expect(app.get(Steps).inputs).toEqual(['x', 'behind']);
  });

  it('has an id of its own when none is given, and may have any text as one', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    const [one, two] = await Promise.all([flows.start(Line, 'a'), flows.start(Line, 'b')]);
    expect(one.runId).not.toBe(two.runId);
    const odd = await flows.start(Line, 'c', { runId: 'a b.c*>/%=\nä€😀' });
    expect(await odd.result()).toBe('c12');
    expect(await odd.status()).toMatchObject({ runId: 'a b.c*>/%=\nä€😀' });
    await flows.start(Line, 'd', { runId: 'r'.repeat(512) });
    for (const runId of ['', 'r'.repeat(513), 'ä'.repeat(100)]) {
      await expect(flows.start(Line, 'd', { runId })).rejects.toThrow(ConfigurationError);
      expect(() => flows.run(Line, runId)).toThrow(ConfigurationError);
    }
  });

  it('gives its result to all who wait, before and after its end', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    await using other = await startFlowApp(nats.url, [], { consume: false });
    const open = gate();
    app.get(Steps).gates.set('waited-for', open);
    const run = await app.get(FlowClient).start(Line, 'x', { runId: 'waited-for' });
    const handles = [run, app.get(FlowClient).run(Line, 'waited-for'), other.get(FlowClient).run(Line, 'waited-for')];
    const before = Promise.all(handles.map((handle) => handle.result()));
    // Others may come too: what the test before has started and not waited for.
    await until(() => app.get(Steps).inputs.includes('x'), { what: 'the first step' });
    open.open();
    expect(await before).toEqual(['x12', 'x12', 'x12']);
    expect(await other.get(FlowClient).run(Line, 'waited-for').result()).toBe('x12');
  });

  it('shows each of its states in order, until it has ended', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const steps = app.get(Steps);
    const open = gate();
    steps.gates.set('watched', open);
    steps.broken = true;
    const run = await app.get(FlowClient).start(Line, 'x', { runId: 'watched' });
    const seen: RunStatus[] = [];
    for await (const status of run.watch()) {
      seen.push(status);
      if (seen.length === 1) open.open();
      if (status.state === 'failed' && steps.broken) {
        steps.broken = false;
        await app.get(DeadLetters).redrive('line.second.watched');
      }
    }
    const states = seen.map(({ state }) => state).filter((state, at, all) => state !== all[at - 1]);
    // Changes that follow each other while the loop is busy come as one.
    expect(['running,failed,running,completed', 'running,failed,completed']).toContain(states.join());
    expect(seen.at(-1)).toMatchObject({ state: 'completed', pending: 0 });
    seen.slice(1).forEach((status, at) => expect(status).not.toEqual(seen[at]));

    const afterwards: RunStatus[] = [];
    for await (const status of run.watch()) afterwards.push(status);
    expect(afterwards.map(({ state }) => state)).toEqual(['completed']);
  });

  it('that nobody started is not found, also of a flow that never ran', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    for (const run of [flows.run(Line, 'nobody'), flows.run(Never, 'nobody')]) {
      await expect(run.status()).rejects.toThrow(NotFoundError);
      await expect(run.result()).rejects.toThrow(NotFoundError);
      await expect(run.watch().next()).rejects.toThrow(NotFoundError);
      expect(await run.cancel()).toBe(false);
    }
  });

  it('is waited for as long as the signal says', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const open = gate();
    app.get(Steps).gates.set('slow', open);
    const run = await app.get(FlowClient).start(Line, 'x', { runId: 'slow' });
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = run.result({ signal: controller.signal });
    controller.abort(reason);
    await expect(waiting).rejects.toMatchObject({ name: 'CancelledError', cause: reason });
    await expect(run.result({ signal: AbortSignal.abort() })).rejects.toThrow(CancelledError);
    open.open();
    expect(await run.result({ signal: new AbortController().signal })).toBe('x12');
  });

  it('leaves nothing behind when its start was refused', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    const refused: [StartOptions & { runId: string }, string, new (...args: never[]) => Error][] = [
      [{ runId: 'aborted', signal: AbortSignal.abort() }, 'x', CancelledError],
      [{ runId: 'no-json' }, 1n as unknown as string, EncodeError],
      [{ runId: 'too-large' }, 'x'.repeat(1_100_000), MessageTooLargeError],
      [{ runId: 'metadata', metadata: { a: 'x'.repeat(20_000) } }, 'x', EncodeError],
    ];
    for (const [options, input, error] of refused) {
      await expect(flows.start(Line, input, options)).rejects.toThrow(error);
      await expect(flows.run(Line, options.runId).status(), options.runId).rejects.toThrow(NotFoundError);
    }
    expect(await nats.streams.subjects('FLOW_line', 'flow.line.start.aborted')).toEqual(new Map());
  });
});
