import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  FlowStep,
  json,
  RunCancelledError,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Slow = flow('slow', { input: Text, output: Text });
const Untracked = flow('untracked_slow', { input: Text, output: Text, track: 'none' });

const Brief = flow('brief', { input: Text, output: Text, retention: '1s' });

class Steps {
  readonly calls: string[] = [];
  readonly signals = new Map<string, AbortSignal>();
  readonly done = gate();

  @FlowStep({ flow: Slow, retry: fixed('300ms') })
  async first(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Slow, after: 'first' })
  async second(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Untracked })
  async only(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Untracked, after: 'only' })
  async next(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }

  @FlowStep({ flow: Brief })
  async brief(text: string): Promise<string> {
    return text;
  }

  private async work(text: string, ctx: FlowContext): Promise<string> {
    this.calls.push(`${ctx.step}:${ctx.runId}`);
    this.signals.set(`${ctx.step}:${ctx.runId}`, ctx.signal);
    if (text === ctx.step) await this.done.opened;
    if (text === `fail ${ctx.step}`) throw new Error('try me later');
    return text;
  }
}

describe('cancelling a run', () => {
  const nats = useFlowServer();

  it.each(['first', 'second'])(
    'aborts the signal of the handler under way and begins no further step: %s',
    async (step) => {
      await using app = await startFlowApp(nats.url, [Steps]);
      const steps = app.get(Steps);
      const run = await app.get(FlowClient).start(Slow, step, { runId: `in-${step}` });
      const call = `${step}:in-${step}`;
      const signal = await until(() => steps.signals.get(call), { what: 'the handler' });
      expect(await run.cancel('changed my mind')).toBe(true);

      await until(() => signal.aborted, { what: 'the abort' });
      expect(signal.reason).toBeInstanceOf(RunCancelledError);
      await expect(run.result()).rejects.toThrow(/changed my mind/);
      expect(await run.status()).toMatchObject({ state: 'cancelled', failure: { code: 'RUN_CANCELLED' } });
      expect((await run.status()).finishedAt).toBeInstanceOf(Date);

      // What the handler returns now is thrown away, and the message is done with.
      steps.done.open();
      for (const consumer of ['start', 'step_second']) {
        await until(async () => (await nats.streams.unfinished('FLOW_slow', consumer)) === 0, { what: consumer });
      }
      expect(steps.calls.at(-1)).toBe(call);
      if (step === 'first') {
        expect(await nats.streams.subjects('FLOW_slow', 'flow.slow.step.second.in-first')).toEqual(new Map());
      }
      expect(await app.get(DeadLetters).get(`slow.${step}.in-${step}`)).toBeUndefined();
    },
  );

  it('reaches a handler in another process', async () => {
    await using worker = await startFlowApp(nats.url, [Steps]);
    await using client = await startFlowApp(nats.url, [], { consume: false });
    const run = await client.get(FlowClient).start(Slow, 'first', { runId: 'elsewhere' });
    const signal = await until(() => worker.get(Steps).signals.get('first:elsewhere'), { what: 'the handler' });
    expect(await client.get(FlowClient).run(Slow, 'elsewhere').cancel()).toBe(true);
    await until(() => signal.aborted, { what: 'the abort' });
    await expect(run.result()).rejects.toThrow(RunCancelledError);
  });

  it('of which a message waits for its next attempt ends that', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const run = await app.get(FlowClient).start(Slow, 'fail first', { runId: 'retrying' });
    await until(() => app.get(Steps).calls.includes('first:retrying'), { what: 'the failure' });
    expect(await run.cancel()).toBe(true);
    await until(async () => (await nats.streams.unfinished('FLOW_slow', 'start')) === 0, { what: 'its end' });
    expect(app.get(Steps).calls).toEqual(['first:retrying']);
    expect(await run.status()).toMatchObject({ state: 'cancelled' });
  });

  it('that has ended, or is not known, changes nothing', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    const run = await flows.start(Slow, 'x', { runId: 'ended' });
    await run.result();
    expect(await run.cancel()).toBe(false);
    expect(await run.status()).toMatchObject({ state: 'completed' });
    expect(await flows.run(Slow, 'nobody').cancel()).toBe(false);
    expect(await nats.streams.subjects('FLOW_slow', 'flow.slow.cancel.*')).not.toContain('flow.slow.cancel.ended');
  });

  it('counts once, and a second call makes up for a first that came no further than the record', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const steps = app.get(Steps);
    const flows = app.get(FlowClient);
    const run = await flows.start(Slow, 'first', { runId: 'twice' });
    const signal = await until(() => steps.signals.get('first:twice'), { what: 'the handler' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => flows.run(Slow, 'twice').cancel()));
    expect(answers.filter(Boolean)).toHaveLength(1);
    await until(() => signal.aborted, { what: 'the abort' });
    expect(await run.cancel()).toBe(false);

    const { manager } = nats.streams;
    const { seq } = (await manager.streams.getMessage('FLOW_slow', { last_by_subj: 'flow.slow.cancel.twice' }))!;
    await manager.streams.deleteMessage('FLOW_slow', seq);
    // Past what the stream itself recognises as a repetition.
    await manager.streams.update('FLOW_slow', { duplicate_window: 100_000_000 });
    await until(
      async () => {
        expect(await run.cancel()).toBe(false);
        return (await nats.streams.subjects('FLOW_slow', 'flow.slow.cancel.twice')).size === 1;
      },
      { what: 'the repeated request' },
    );
  });

  it('outlasts a restart of the application', async () => {
    await using client = await startFlowApp(nats.url, [], { consume: false });
    const flows = client.get(FlowClient);
    const run = await flows.start(Slow, 'x', { runId: 'offline' });
    expect(await run.cancel()).toBe(true);
    const other = await flows.start(Slow, 'x', { runId: 'online' });

    await using app = await startFlowApp(nats.url, [Steps]);
    expect(await other.result()).toBe('x');
    await until(async () => (await nats.streams.unfinished('FLOW_slow', 'start')) === 0, {
      what: 'all messages',
    });
    expect(app.get(Steps).calls.filter((call) => call.endsWith(':offline'))).toEqual([]);
    expect(await run.status()).toMatchObject({ state: 'cancelled' });
  });

  it('works without a record', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const steps = app.get(Steps);
    const run = await app.get(FlowClient).start(Untracked, 'only', { runId: 'u' });
    const signal = await until(() => steps.signals.get('only:u'), { what: 'the handler' });
    expect(await run.cancel()).toBe(true);
    await until(() => signal.aborted, { what: 'the abort' });
    steps.done.open();
    await until(async () => (await nats.streams.unfinished('FLOW_untracked_slow', 'start')) === 0, {
      what: 'its end',
    });
    expect(steps.calls).toEqual(['only:u']);
  });

  it('is over with the retention: then the id names a new run', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    await flows.pause(Brief);
    const run = await flows.start(Brief, 'old', { runId: 'again' });
    expect(await run.cancel()).toBe(true);
    await until(async () => (await nats.streams.subjects('FLOW_brief', '>')).size === 0, { what: 'the end of it' });
    await flows.resume(Brief);
    const again = await flows.start(Brief, 'new', { runId: 'again' });
    expect(await again.result()).toBe('new');
  });
});
