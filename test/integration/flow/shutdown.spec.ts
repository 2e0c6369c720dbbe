import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ConnectionError, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Stuck = flow('stuck', { input: Text, output: Text });
const Plain = flow('plain', { input: Text, output: Text });

class LineSteps {
  readonly runIds: string[] = [];
  readonly attempts = new Map<string, number>();
  readonly ended: string[] = [];
  wait = Promise.resolve();

  @FlowStep({ flow: Line, concurrency: 50 })
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.runIds.push(ctx.runId);
    this.attempts.set(ctx.runId, ctx.attempt);
    await this.wait;
    return text;
  }
  @FlowStep({ flow: Line, after: 'work', concurrency: 50 })
  end(text: string, ctx: FlowContext): string {
    this.ended.push(ctx.runId);
    return text;
  }
}

class StuckSteps {
  readonly contexts: FlowContext[] = [];
  readonly abortedAt: number[] = [];
  /** Before an application starts: a message may come before the test has its hands on the instance. */
  static stuck = true;

  @FlowStep({ flow: Stuck })
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.contexts.push(ctx);
    ctx.signal.addEventListener('abort', () => this.abortedAt.push(performance.now()));
    if (StuckSteps.stuck) return new Promise<never>(() => undefined);
    return Promise.resolve(`${text} at attempt ${ctx.attempt}`);
  }
}

class PlainSteps {
  @FlowStep({ flow: Plain })
  work(text: string): string {
    return text;
  }
}

describe('the shutdown of an application', () => {
  const nats = useFlowServer();
  /** An old server may hand a message to the closing process once more, which gives it back too. */
  const nextAttempt = (): RegExp => (nats.server.version.startsWith('2.9.') ? /attempt [23]$/ : /attempt 2$/);

  it('lets what runs come to its end, hands the rest back at once, and loses nothing', async () => {
    const open = gate();
    // Ten may run, forty more wait in the process.
    const closing = await startFlowApp(nats.url, [LineSteps], { maxInFlight: 10 });
    const first = closing.get(LineSteps);
    first.wait = open.opened;
    const flows = closing.get(FlowClient);
    const ids = Array.from({ length: 200 }, (_, number) => `run-${number}`);
    await Promise.all(ids.map((runId) => flows.start(Line, 'x', { runId })));
    await until(() => first.runIds.length === 10, { what: 'ten handlers' });
    await until(async () => (await nats.streams.manager.consumers.info('FLOW_line', 'start')).num_ack_pending === 50, {
      what: 'fifty messages in hand',
    });

    await using staying = await startFlowApp(nats.url, [LineSteps]);
    const second = staying.get(LineSteps);
    await until(() => second.runIds.length === 150, { what: 'the messages that nobody held' });
    const closedAt = performance.now();
    const closed = closing[Symbol.asyncDispose]();
    await until(() => second.runIds.length === 190, { what: 'the messages handed back' });
    expect(performance.now() - closedAt).toBeLessThan(2_000);

    // What runs is still running, and can send on after the shutdown began.
    expect(first.runIds).toHaveLength(10);
    open.open();
    await closed;
    await until(() => second.ended.length + first.ended.length === 200, { what: 'all ends' });
    expect([...first.runIds, ...second.runIds].toSorted()).toEqual(ids.toSorted());
    expect([...first.ended, ...second.ended].toSorted()).toEqual(ids.toSorted());
    for (const runId of first.runIds) expect(first.attempts.get(runId)).toBe(1);
    const client = staying.get(FlowClient);
    for (const runId of ids) expect(await client.run(Line, runId).result()).toBe('x');
  });

  it.each([0, 300])('interrupts what runs longer than the deadline, for another instance: %i ms', async (deadline) => {
    StuckSteps.stuck = true;
    const closing = await startFlowApp(nats.url, [StuckSteps], { shutdownTimeout: deadline });
    const stuck = closing.get(StuckSteps);
    const run = await closing.get(FlowClient).start(Stuck, 'x', { runId: `stuck-${deadline}` });
    await until(() => stuck.contexts.length === 1, { what: 'the handler' });
    const closedAt = performance.now();
    await closing[Symbol.asyncDispose]();
    const took = performance.now() - closedAt;
    expect(took).toBeGreaterThan(deadline - 5);
    expect(took).toBeLessThan(deadline + 2_000);
    expect(stuck.contexts[0]?.signal.reason).toMatchObject({ code: 'SHUTDOWN' });
    expect(stuck.abortedAt[0]! - closedAt).toBeGreaterThan(deadline - 5);

    StuckSteps.stuck = false;
    const startedAt = performance.now();
    await using next = await startFlowApp(nats.url, [StuckSteps]);
    expect(await next.get(FlowClient).run(Stuck, run.runId).result()).toMatch(nextAttempt());
    // Long before the ack wait of 30 s.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  it('ends the waiting for results', async () => {
    const app = await startFlowApp(nats.url, [], { consume: false });
    const run = await app.get(FlowClient).start(Plain, 'x', { runId: 'nobody-works' });
    const result = expect(run.result()).rejects.toThrow(ConnectionError);
    const states: string[] = [];
    const iteration = expect(
      (async () => {
        for await (const { state } of run.watch()) states.push(state);
      })(),
    ).rejects.toThrow(ConnectionError);
    // Both listen now and wait for news.
    await until(() => states.length === 1, { what: 'the status' });
    await app[Symbol.asyncDispose]();
    await Promise.all([result, iteration]);
  });

  it('leaves no short-lived consumers on the server', async () => {
    const app = await startFlowApp(nats.url, [PlainSteps]);
    await (await app.get(FlowClient).start(Plain, 'x')).result();
    await app[Symbol.asyncDispose]();
    for (const stream of ['FLOW_plain', 'FLOW_CONTROL']) {
      const names: string[] = [];
      for await (const { name } of nats.streams.manager.consumers.list(stream)) names.push(name);
      expect(names.filter((name) => !/^(start$|step_)/.test(name))).toEqual([]);
    }
  });

  it.each(['served', 'failed'])('leaves nothing that keeps the process alive: an application that %s', async (fate) => {
    const script = fileURLToPath(new URL('./support/closing-app.ts', import.meta.url));
    const node = ['--import', '@swc-node/register/esm-register', script, nats.url, fate];
    // Rejects when the process does not end by itself, or fails.
    const { stdout } = await promisify(execFile)(process.execPath, node, { timeout: 25_000 });
    expect(stdout).toMatch(
      fate === 'served' ? /^result: x\nclosed in \d+ ms\nexit after \d{1,4} ms\n$/ : /^boot failed/,
    );
  });
});
