import { describe, expect, it } from 'vitest';
import { flow, FlowClient, FlowStep, json, NotFoundError, type FlowContext } from 'nestjs-jetstream-flow';
import { gate } from '../../support/gate.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Untracked = flow('untracked', { input: Text, output: Text, track: 'none' });
const ByRun = flow('by_run', { input: Text, output: Text });
const ByStep = flow('by_step', { input: Text, output: Text, track: 'step' });
const Leaves = flow('leaves', { input: Text, output: Text });

class UntrackedSteps {
  readonly ended: string[] = [];

  @FlowStep({ flow: Untracked })
  one(text: string): string | undefined {
    return text === 'stop' ? undefined : `${text}1`;
  }
  @FlowStep({ flow: Untracked, after: 'one' })
  two(text: string, ctx: FlowContext): string {
    this.ended.push(`${ctx.runId}:${text}`);
    return `${text}2`;
  }
}

class TrackedSteps {
  @FlowStep({ flow: ByRun })
  runOne(text: string): string {
    return `${text}1`;
  }
  @FlowStep({ flow: ByRun, after: 'runOne' })
  runTwo(text: string): string {
    return `${text}2`;
  }

  @FlowStep({ flow: ByStep, retry: { attempts: 2, delay: () => 1 } })
  one(text: string, ctx: FlowContext): string | undefined {
    if (ctx.attempt === 1) throw new Error('once');
    return text === 'stop' ? undefined : `${text}1`;
  }
  @FlowStep({ flow: ByStep, after: 'one' })
  left(text: string): string {
    return `${text}l`;
  }
  @FlowStep({ flow: ByStep, after: 'one' })
  right(): undefined {
    return undefined;
  }
  @FlowStep({ flow: ByStep, after: ['left', 'right'], name: 'end' })
  last(text: string): string {
    return `${text}e`;
  }
}

/** Two branches whose ends are opened from outside. */
class LeafSteps {
  readonly gates = { left: gate(), right: gate() };

  @FlowStep({ flow: Leaves })
  root(text: string): string {
    return text;
  }
  @FlowStep({ flow: Leaves, after: 'root' })
  async left(): Promise<string> {
    await this.gates.left.opened;
    return 'left';
  }
  @FlowStep({ flow: Leaves, after: 'root' })
  async right(): Promise<string | undefined> {
    await this.gates.right.opened;
    return 'right';
  }
}

describe('what is recorded of a run', () => {
  const nats = useFlowServer();

  it('nothing with track "none": it runs all the same, and has no status', async () => {
    await using app = await startFlowApp(nats.url, [UntrackedSteps]);
    const flows = app.get(FlowClient);
    const run = await flows.start(Untracked, 'a', { runId: 'r' });
    await flows.start(Untracked, 'stop', { runId: 'stopped' });
    await until(() => app.get(UntrackedSteps).ended.includes('r:a1'), { what: 'the last step' });

    await expect(run.status()).rejects.toThrow(NotFoundError);
    await expect(run.result()).rejects.toThrow(NotFoundError);
    await until(async () => (await nats.streams.unfinished('FLOW_untracked', 'start')) === 0, { what: 'the acks' });
    const stored = await nats.streams.subjects('FLOW_untracked', '>');
    expect([...stored.keys()].toSorted()).toEqual([
      'flow.untracked.start.r',
      'flow.untracked.start.stopped',
      'flow.untracked.step.two.r',
    ]);
  });

  it('start, end and result with track "run"', async () => {
    await using app = await startFlowApp(nats.url, [TrackedSteps]);
    const before = Date.now();
    const run = await app.get(FlowClient).start(ByRun, 'a', { metadata: { tenant: 'acme' } });
    expect(await run.result()).toBe('a12');
    const status = await run.status();
    expect(status).toMatchObject({
      flow: 'by_run',
      runId: run.runId,
      state: 'completed',
      pending: 0,
      steps: [],
      metadata: { tenant: 'acme' },
    });
    expect(status.failure).toBeUndefined();
    expect(status.startedAt.getTime()).toBeGreaterThanOrEqual(before - 1);
    expect(status.finishedAt?.getTime()).toBeGreaterThanOrEqual(status.startedAt.getTime());
  });

  it('each step that ended with track "step", once, with its place, attempt and times', async () => {
    await using app = await startFlowApp(nats.url, [TrackedSteps]);
    const run = await app.get(FlowClient).start(ByStep, 'a');
    expect(await run.result()).toBe('a1le');
    // A step is recorded after what it sent, so the last of them may come after the run's end.
    const { steps } = await until(
      async () => {
        const status = await run.status();
        return status.steps.length >= 4 ? status : undefined;
      },
      { what: 'all steps' },
    );
    expect(steps.map(({ step, index, attempt }) => `${step}@${index}#${attempt}`).toSorted()).toEqual([
      'end@left#1',
      'left@#1',
      'one@#2',
      'right@#1',
    ]);
    for (const { startedAt, finishedAt } of steps) {
      expect(finishedAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
      expect(Date.now() - startedAt.getTime()).toBeLessThan(60_000);
    }
  });

  it.each(['left', 'right'] as const)(
    'the result of the leaf that ends last, after the other branch: %s',
    async (last) => {
      await using app = await startFlowApp(nats.url, [LeafSteps]);
      const { gates } = app.get(LeafSteps);
      const run = await app.get(FlowClient).start(Leaves, 'a');
      const first = last === 'left' ? 'right' : 'left';
      await until(async () => (await run.status()).pending === 2, { what: 'both branches' });
      gates[first].open();
      await until(async () => (await run.status()).pending === 1, { what: `the end of ${first}` });
      expect((await run.status()).state).toBe('running');
      gates[last].open();
      expect(await run.result()).toBe(last);
    },
  );
});
