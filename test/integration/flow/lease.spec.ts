import { describe, expect, it } from 'vitest';
import { fixed, flow, FlowClient, FlowStep, json, StepTimeoutError, type FlowContext } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Long = flow('long', { input: Text, output: Text });
const Queued = flow('queued', { input: Text, output: Text });
const Late = flow('late', { input: Text, output: Text });
const ACK_WAIT_MS = 500;

class LongSteps {
  readonly attempts: number[] = [];
  readonly done = gate();

  @FlowStep({ flow: Long, ackWait: ACK_WAIT_MS })
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.attempts.push(ctx.attempt);
    await this.done.opened;
    return text;
  }
}

class QueuedSteps {
  readonly attempts: string[] = [];
  readonly done = gate();

  /** One runs, the others wait in this process. */
  @FlowStep({ flow: Queued, ackWait: ACK_WAIT_MS, concurrency: 1, subject: ['queued.a', 'queued.b'] })
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.attempts.push(`${text}#${ctx.attempt}`);
    await this.done.opened;
    return text;
  }
}

class LateSteps {
  readonly signals: AbortSignal[] = [];
  readonly done = gate();

  @FlowStep({ flow: Late, timeout: '200ms', retry: fixed(1, { attempts: 2 }), ackWait: '30s' })
  async work(text: string, ctx: FlowContext): Promise<string> {
    this.signals.push(ctx.signal);
    if (ctx.attempt === 1) await this.done.opened;
    return `${text} at attempt ${ctx.attempt}`;
  }
  @FlowStep({ flow: Late, after: 'work' })
  end(text: string): string {
    return text;
  }
}

describe('the lease of a message', () => {
  const nats = useFlowServer();

  it('lasts as long as its handler runs, whatever the ack wait', async () => {
    await using app = await startFlowApp(nats.url, [LongSteps]);
    await using other = await startFlowApp(nats.url, [LongSteps]);
    const steps = [app.get(LongSteps), other.get(LongSteps)];
    const attempts = (): number[] => steps.flatMap((step) => step.attempts);
    const run = await app.get(FlowClient).start(Long, 'x');
    await until(() => attempts().length === 1, { what: 'the handler' });
    const startedAt = performance.now();
    const info = () => nats.streams.manager.consumers.info('FLOW_long', 'start');
    await until(
      async () => {
        expect((await info()).num_redelivered).toBe(0);
        return performance.now() - startedAt > 4 * ACK_WAIT_MS;
      },
      { what: 'four times the ack wait', intervalMs: 50 },
    );
    expect(attempts()).toEqual([1]);
    for (const step of steps) step.done.open();
    expect(await run.result()).toBe('x');
    expect(attempts()).toEqual([1]);
  });

  it('lasts while a message waits in the process for its turn', async () => {
    await using app = await startFlowApp(nats.url, [QueuedSteps]);
    const steps = app.get(QueuedSteps);
    // Each subject's consumer holds one message, and one of the two waits behind the other.
    await nats.streams.publish('queued.a', 'a', { id: 'a' });
    await nats.streams.publish('queued.b', 'b', { id: 'b' });
    await until(() => steps.attempts.length === 1, { what: 'the first handler' });
    const startedAt = performance.now();
    const consumer = (subject: string) =>
      nats.streams.manager.consumers.info('FLOW_queued_IN', `flow_queued=work=queued=2E${subject}`);
    await until(
      async () => {
        for (const subject of ['a', 'b']) {
          expect(await consumer(subject)).toMatchObject({ num_redelivered: 0, num_ack_pending: 1 });
        }
        return performance.now() - startedAt > 4 * ACK_WAIT_MS;
      },
      { what: 'four times the ack wait', intervalMs: 50 },
    );
    steps.done.open();
    await until(() => steps.attempts.length === 2, { what: 'the second handler' });
    expect(steps.attempts.toSorted()).toEqual(['a#1', 'b#1']);
  });

  it('ends at the timeout: the signal aborts, the message is tried again, a late result is thrown away', async () => {
    await using app = await startFlowApp(nats.url, [LateSteps]);
    const steps = app.get(LateSteps);
    const startedAt = performance.now();
    const run = await app.get(FlowClient).start(Late, 'x', { runId: 'late' });
    expect(await run.result()).toBe('x at attempt 2');
    expect(performance.now() - startedAt).toBeGreaterThan(195);
    expect(steps.signals[0]).toMatchObject({ aborted: true, reason: expect.any(StepTimeoutError) as unknown });
    expect(steps.signals[1]?.aborted).toBe(false);

    // The first attempt returns now, long after the second: nothing may change.
    steps.done.open();
    const after = await app.get(FlowClient).start(Late, 'y', { runId: 'after' });
    await after.result();
    expect(await run.result()).toBe('x at attempt 2');
    const stored = await nats.streams.subjects('FLOW_late', 'flow.late.step.end.late');
    expect([...stored.values()]).toEqual([1]);
  });
});
