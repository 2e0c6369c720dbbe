import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  FlowConnection,
  FlowStep,
  json,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { startFlowApp, type FlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Fork = flow('fork', { input: Text, output: Text });
const End = flow('end', { input: Text, output: Text });
const ONCE = { ackWait: 500, retry: fixed(1, { attempts: 1 }) } as const;

/** The work of one process: `says` is what its first steps return, or throw. */
class Steps {
  readonly calls: string[] = [];
  says: string | Error = 'second';
  wait = Promise.resolve();

  @FlowStep({ flow: Line, ...ONCE })
  first(_text: string, ctx: FlowContext): Promise<string> {
    return this.work(ctx);
  }
  @FlowStep({ flow: Line, after: 'first' })
  last(text: string, ctx: FlowContext): string {
    this.calls.push(`last:${ctx.runId}:${text}`);
    return text;
  }

  @FlowStep({ flow: Fork, ...ONCE })
  root(_text: string, ctx: FlowContext): Promise<string> {
    return this.work(ctx);
  }
  @FlowStep({ flow: Fork, after: 'root', when: (text: string) => text === 'first', input: Text })
  left(text: string, ctx: FlowContext): string {
    this.calls.push(`left:${ctx.runId}:${text}`);
    return text;
  }
  @FlowStep({ flow: Fork, after: 'root', otherwise: true })
  right(text: string, ctx: FlowContext): string {
    this.calls.push(`right:${ctx.runId}:${text}`);
    return text;
  }

  @FlowStep({ flow: End, ...ONCE })
  only(_text: string, ctx: FlowContext): Promise<string> {
    return this.work(ctx);
  }

  private async work(ctx: FlowContext): Promise<string> {
    this.calls.push(`${ctx.step}:${ctx.runId}#${ctx.attempt}`);
    await this.wait;
    if (this.says instanceof Error) throw this.says;
    return this.says;
  }
}

/** Two processes at one message; the first is cut off from the server in the middle of its handler. */
interface CutOff extends AsyncDisposable {
  readonly client: FlowApp;
  /** What both have called for the run. */
  calls(): string[];
  /** Lets the first process back in, and its handler end; resolves when the process has closed. */
  comeBack(): Promise<void>;
}

describe('a message that two processes work on, because one was cut off', () => {
  const nats = useFlowServer();
  let proxy: CuttingProxy;

  beforeAll(async () => {
    proxy = await CuttingProxy.start(nats.server);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
  });

  /** One process behind a proxy, with its handler stopped in the middle; the other takes the message over. */
  async function cutOff(
    contract: typeof Line,
    runId: string,
    lateAnswer: string | Error,
    answer: string | Error = 'second',
  ): Promise<CutOff> {
    const late = await startFlowApp(proxy.url, [Steps], { reconnectWait: '50ms', name: 'late' });
    const first = late.get(Steps);
    const open = gate();
    Object.assign(first, { wait: open.opened, says: lateAnswer });
    const client = await startFlowApp(nats.url, [], { consume: false });
    await client.get(FlowClient).start(contract, 'x', { runId });
    await until(() => first.calls.length === 1, { what: 'the first handler' });
    proxy.rejectNew(true);
    proxy.cut();
    const other = await startFlowApp(nats.url, [
      { provide: Steps, useFactory: () => Object.assign(new Steps(), { says: answer }) },
    ]);
    const second = other.get(Steps);
    await until(() => second.calls.length >= 1, { what: 'the second handler' });
    return {
      client,
      calls: () => [...first.calls, ...second.calls].filter((call) => call.includes(`:${runId}`)).toSorted(),
      comeBack: async () => {
        proxy.restore();
        await until(() => late.get(FlowConnection).status === 'connected', { what: 'the connection' });
        open.open();
        // Whatever the late process does about the message, it has done before it closes.
        await late[Symbol.asyncDispose]();
      },
      [Symbol.asyncDispose]: async () => {
        proxy.restore();
        open.open();
        await Promise.all([late, client, other].map((app) => app[Symbol.asyncDispose]()));
      },
    };
  }

  it.each([
    ['returns another result', 'first'],
    ['fails for good', new Error('too late')],
  ])('moves its run on once, by whoever was first; the other %s', async (_what, answer) => {
    const runId = answer instanceof Error ? 'line-fails' : 'line-returns';
    await using at = await cutOff(Line, runId, answer);
    const run = at.client.get(FlowClient).run(Line, runId);
    expect(await run.result()).toBe('second');
    await at.comeBack();
    expect(at.calls()).toEqual([`first:${runId}#1`, `first:${runId}#2`, `last:${runId}:second`]);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
    expect(await at.client.get(DeadLetters).get(`line.first.${runId}`)).toBeUndefined();
  });

  it('is decided once where a result is split', async () => {
    await using at = await cutOff(Fork, 'split', 'first');
    const run = at.client.get(FlowClient).run(Fork, 'split');
    expect(await run.result()).toBe('second');
    await at.comeBack();
    expect(at.calls()).toEqual(['right:split:second', 'root:split#1', 'root:split#2']);
    expect(await nats.streams.subjects('FLOW_fork', 'flow.fork.step.left.>')).toEqual(new Map());
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it.each([
    ['result', 'first'],
    ['failure', new Error('too late')],
  ])('ends its run once; a late %s changes nothing', async (what, answer) => {
    await using at = await cutOff(End, `end-${what}`, answer);
    const run = at.client.get(FlowClient).run(End, `end-${what}`);
    expect(await run.result()).toBe('second');
    const ended = await run.status();
    await at.comeBack();
    expect(await run.status()).toEqual(ended);
    expect(await run.result()).toBe('second');
    expect(await at.client.get(DeadLetters).get(`end.only.end-${what}`)).toBeUndefined();
  });

  it('that fails in both is one dead letter', async () => {
    await using at = await cutOff(Line, 'both', new Error('late'), new Error('early'));
    const run = at.client.get(FlowClient).run(Line, 'both');
    await expect(run.result()).rejects.toThrow(/early/);
    await at.comeBack();
    expect(await at.client.get(DeadLetters).get('line.first.both')).toMatchObject({
      attempts: 2,
      error: { message: 'early' },
    });
    expect(await run.status()).toMatchObject({ state: 'failed', pending: 1, failure: { message: 'early' } });
  });
});
