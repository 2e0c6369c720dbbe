import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  FlowStep,
  json,
  NotFoundError,
  RunFailedError,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { collect } from '../../support/collect.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Untracked = flow('untracked_line', { input: Text, output: Text, track: 'none' });
const Fork = flow('fork', { input: Text, output: Text });
const NO_RETRY = fixed(1, { attempts: 1 });

/** Steps fail as long as their name is in `broken`. */
class Steps {
  readonly broken = new Set<string>();
  readonly calls: string[] = [];
  readonly contexts: FlowContext[] = [];
  wait = Promise.resolve();

  @FlowStep({ flow: Line, subject: 'line.in', retry: NO_RETRY })
  first(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Line, after: 'first', retry: NO_RETRY })
  second(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Line, after: 'second' })
  third(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }

  @FlowStep({ flow: Untracked, retry: NO_RETRY })
  only(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }

  @FlowStep({ flow: Fork })
  root(text: string): string {
    return text;
  }
  @FlowStep({ flow: Fork, after: 'root', retry: NO_RETRY })
  left(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Fork, after: 'root', retry: NO_RETRY })
  right(text: string, ctx: FlowContext): Promise<string> {
    return this.work(text, ctx);
  }

  private async work(text: string, ctx: FlowContext): Promise<string> {
    this.calls.push(`${ctx.step}:${ctx.runId}`);
    this.contexts.push(ctx);
    await this.wait;
    if (this.broken.has(ctx.step)) throw new Error(`${ctx.step} is broken`);
    return `${text}>${ctx.step}`;
  }
}

describe('dead letters', () => {
  const nats = useFlowServer();

  async function start(...broken: string[]) {
    const app = await startFlowApp(nats.url, [Steps]);
    const steps = app.get(Steps);
    for (const step of broken) steps.broken.add(step);
    return {
      steps,
      flows: app.get(FlowClient),
      letters: app.get(DeadLetters),
      [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
    };
  }

  it('are listed by flow and step, oldest first, as many as asked for', async () => {
    await using at = await start('second', 'only');
    for (const id of ['l1', 'l2', 'l3']) {
      await expect((await at.flows.start(Line, 'x', { runId: id })).result()).rejects.toThrow(RunFailedError);
    }
    await at.flows.start(Untracked, 'x', { runId: 'u1' });
    await until(() => at.letters.get('untracked_line.only.u1'), { what: 'the letter' });
    const ids = async (filter: Parameters<DeadLetters['list']>[0]) =>
      (await collect(at.letters.list(filter))).map(({ id }) => id);

    expect(await ids({ flow: 'line' })).toEqual(['line.second.l1', 'line.second.l2', 'line.second.l3']);
    expect(await ids({ flow: 'line', limit: 2 })).toEqual(['line.second.l1', 'line.second.l2']);
    expect(await ids({ flow: 'line', step: 'third' })).toEqual([]);
    expect(await ids({ step: 'only' })).toEqual(['untracked_line.only.u1']);
    expect(await ids({})).toEqual(expect.arrayContaining(['line.second.l1', 'untracked_line.only.u1']));
    expect(await at.letters.get('line.second.l2')).toMatchObject({ runId: 'l2', step: 'second', index: '' });
  });

  it('that do not exist are not found', async () => {
    await using at = await start();
    expect(await at.letters.get('line.second.nobody')).toBeUndefined();
    await expect(at.letters.redrive('line.second.nobody')).rejects.toThrow(NotFoundError);
    await expect(at.letters.discard('line.second.nobody')).rejects.toThrow(NotFoundError);
  });

  it('continue their run where it failed: failed, running, completed', async () => {
    await using at = await start('second');
    const run = await at.flows.start(Line, 'x', { runId: 'again', metadata: { tenant: 'acme' } });
    await expect(run.result()).rejects.toThrow(/second is broken/);
    expect(await run.status()).toMatchObject({
      state: 'failed',
      pending: 1,
      failure: { step: 'second', name: 'Error', message: 'second is broken' },
    });

    at.steps.broken.clear();
    const open = gate();
    at.steps.wait = open.opened;
    await at.letters.redrive('line.second.again');
    expect(await at.letters.get('line.second.again')).toBeUndefined();
    const status = await run.status();
    expect(status).toMatchObject({ state: 'running', pending: 1 });
    expect(status.failure).toBeUndefined();
    open.open();
    expect(await run.result()).toBe('x>first>second>third');
    expect(at.steps.calls).toEqual(['first:again', 'second:again', 'second:again', 'third:again']);

    const redriven = at.steps.contexts[2];
    expect(redriven).toMatchObject({ attempt: 1, redelivered: false, metadata: { tenant: 'acme' } });
    expect(redriven?.headers.get('Flow-Redriven')).toEqual(['1']);
  });

  it.each(['client', 'subject'])('of an entry step go back to it, also a second time (started by %s)', async (by) => {
    await using at = await start('first');
    const runId = `entry-${by}`;
    if (by === 'client') await at.flows.start(Line, 'x', { runId });
    else await nats.streams.publish('line.in', 'x', { id: runId });
    const id = `line.first.${runId}`;
    const first = await until(() => at.letters.get(id), { what: 'the letter' });
    await at.letters.redrive(id);
    const second = await until(async () => {
      const letter = await at.letters.get(id);
      return letter?.subject !== first.subject ? letter : undefined;
    }, { what: 'the second letter' }); // prettier-ignore
    expect(second).toMatchObject({ subject: `flow.line.step.first.${runId}`, attempts: 1 });

    at.steps.broken.clear();
    await at.letters.redrive(id);
    const run = at.flows.run(Line, runId);
    expect(await run.result()).toBe('x>first>second>third');
    expect(at.steps.contexts.map((ctx) => ctx.headers.get('Flow-Redriven')?.[0]).slice(0, 3)).toEqual([
      undefined,
      '1',
      '2',
    ]);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it('are sent once, whoever redrives them at the same time', async () => {
    await using at = await start('second');
    await using other = await start();
    const run = await at.flows.start(Line, 'x', { runId: 'raced' });
    await expect(run.result()).rejects.toThrow(RunFailedError);
    at.steps.broken.clear();
    at.steps.calls.length = 0;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, at20) => (at20 % 2 === 0 ? at : other).letters.redrive('line.second.raced')),
    );
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(NotFoundError);
    }
    expect(await run.result()).toBe('x>first>second>third');
    expect([...at.steps.calls, ...other.steps.calls].toSorted()).toEqual(['second:raced', 'third:raced']);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it('of one branch leave the other alone; the run goes on when all are redriven', async () => {
    await using at = await start('left', 'right');
    const run = await at.flows.start(Fork, 'x', { runId: 'both' });
    await until(async () => (await collect(at.letters.list({ flow: 'fork' }))).length === 2, { what: 'both letters' });
    at.steps.broken.clear();
    await at.letters.redrive('fork.left.both');
    await until(async () => (await run.status()).pending === 1, { what: 'the left branch' });
    expect((await run.status()).state).toBe('failed');
    await at.letters.redrive('fork.right.both');
    expect(await run.result()).toBe('x>right');
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it('that are discarded leave their run failed for ever', async () => {
    await using at = await start('left', 'right');
    const run = await at.flows.start(Fork, 'x', { runId: 'lost' });
    await until(async () => (await collect(at.letters.list({ flow: 'fork' }))).length === 2, { what: 'both letters' });
    await at.letters.discard('fork.left.lost');
    expect(await at.letters.get('fork.left.lost')).toBeUndefined();
    await expect(at.letters.redrive('fork.left.lost')).rejects.toThrow(NotFoundError);
    at.steps.broken.clear();
    await at.letters.redrive('fork.right.lost');
    await until(async () => (await run.status()).pending === 0, { what: 'the right branch' });
    expect((await run.status()).state).toBe('failed');
    await expect(run.result()).rejects.toThrow(/left is broken|right is broken/);
  });

  it('of an untracked flow are redriven too', async () => {
    await using at = await start('only');
    await at.flows.start(Untracked, 'x', { runId: 'u2' });
    await until(() => at.letters.get('untracked_line.only.u2'), { what: 'the letter' });
    at.steps.broken.clear();
    at.steps.calls.length = 0;
    await at.letters.redrive('untracked_line.only.u2');
    await until(() => at.steps.calls.includes('only:u2'), { what: 'the redriven message' });
    await until(async () => (await nats.streams.unfinished('FLOW_untracked_line', 'step_only')) === 0, {
      what: 'its end',
    });
    expect(await at.letters.get('untracked_line.only.u2')).toBeUndefined();
  });

  it('are all redriven at once, and those that fail again end the call all the same', async () => {
    await using at = await start('second');
    const runs = await Promise.all(
      Array.from({ length: 30 }, (_, number) => at.flows.start(Line, 'x', { runId: `all-${number}` })),
    );
    for (const run of runs) await expect(run.result()).rejects.toThrow(RunFailedError);
    const before = (await collect(at.letters.list({ flow: 'line', step: 'second' }))).length;
    expect(before).toBeGreaterThanOrEqual(30);

    // Each dies again at once and comes back as a new letter behind the others.
    at.steps.calls.length = 0;
    expect(await at.letters.redriveAll({ flow: 'line', step: 'second' })).toBe(before);
    await until(async () => (await collect(at.letters.list({ flow: 'line', step: 'second' }))).length === before, {
      what: 'the letters of the second failure',
    });
    expect(at.steps.calls.filter((call) => call === 'second:all-0')).toHaveLength(1);

    at.steps.broken.clear();
    expect(await at.letters.redriveAll({ flow: 'line', step: 'second', limit: 1 })).toBe(1);
    expect(await at.letters.redriveAll({ flow: 'line' })).toBe(before - 1);
    for (const run of runs) expect(await run.result()).toBe('x>first>second>third');
    expect(await collect(at.letters.list({ flow: 'line' }))).toEqual([]);
  });

  it('are all redriven but those that have lost their payload, which are told of', async () => {
    await using at = await start('only');
    // With its failure a letter has no room for so much: the payload is a message of its own.
    const large = 'x'.repeat(1_048_576 - 500);
    const send = async (runId: string, text: string): Promise<string> => {
      await at.flows.start(Untracked, text, { runId });
      await until(() => at.letters.get(`untracked_line.only.${runId}`), { what: `the letter of ${runId}` });
      return `untracked_line.only.${runId}`;
    };
    for (const { id } of await collect(at.letters.list({ step: 'only' }))) await at.letters.discard(id);
    const lost = await send('lost-payload', large);
    const whole = await send('whole', 'x');
    const payloads = { filter: `flow.dead_payload.${lost}` };
    expect((await nats.streams.manager.streams.purge('FLOW_DEAD', payloads)).purged).toBe(1);
    at.steps.broken.clear();
    await expect(at.letters.redriveAll({ step: 'only' })).rejects.toMatchObject({
      redriven: 1,
      failures: new Map([[lost, expect.any(NotFoundError)]]),
    });
    expect(await at.letters.get(whole)).toBeUndefined();
    await expect(at.letters.redrive(lost)).rejects.toThrow(
      /"untracked_line\.only\.lost-payload" .*payload is gone; disc/,
    );
    expect((await at.letters.get(lost))?.payload).toBeUndefined();
    await at.letters.discard(lost);

    // Callers at the same time take letters and payloads out under each other's hands: those are no failures.
    at.steps.broken.add('only');
    for (const runId of ['p1', 'p2', 'p3', 'p4', 'p5']) await send(runId, large);
    at.steps.broken.clear();
    await Promise.all([1, 2, 3, 4].map(() => at.letters.redriveAll({ step: 'only' })));
    expect(await collect(at.letters.list({ step: 'only' }))).toEqual([]);
  });
});
