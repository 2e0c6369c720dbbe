import { describe, expect, it } from 'vitest';
import {
  ConfigurationError,
  fixed,
  flow,
  FlowClient,
  FlowStep,
  json,
  type FlowContext,
  type ListedRun,
} from 'nestjs-jetstream-flow';
import { collect } from '../../support/collect.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Silent = flow('silent', { input: Text, output: Text, track: 'none' });
const Unborn = flow('unborn', { input: Text, output: Text });

class Steps {
  @FlowStep({ flow: Line, retry: fixed(1, { attempts: 1 }) })
  work(text: string, ctx: FlowContext): string {
    if (ctx.runId.startsWith('bad')) throw new Error('broken');
    return text;
  }
}

const ids = (runs: readonly ListedRun[]): string[] => runs.map(({ runId }) => runId);

describe('the list of runs', () => {
  const nats = useFlowServer();

  it('has all that are recorded, by state and page by page', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    const names = ['a', 'bad 1', 'b.c', 'bad 2', 'd'];
    // One after the other, so that the order of their ends is known.
    for (const runId of names) {
      const run = await flows.start(Line, 'x', { runId, metadata: { tenant: 'acme' } });
      await run.result().catch(String);
    }
    const all = await collect(flows.runs(Line));
    expect(ids(all)).toEqual(names);
    expect(all[0]).toMatchObject({ flow: 'line', state: 'completed', metadata: { tenant: 'acme' } });
    const failed = await collect(flows.runs(Line, { state: 'failed' }));
    expect(ids(failed)).toEqual(['bad 1', 'bad 2']);
    expect(failed[0]).toMatchObject({ state: 'failed', failure: { step: 'work', message: 'broken' } });
    expect(await collect(flows.runs(Line, { state: 'running' }))).toEqual([]);

    const page = await collect(flows.runs(Line, { limit: 2 }));
    expect(ids(page)).toEqual(['a', 'bad 1']);
    const next = await collect(flows.runs(Line, { limit: 2, after: page.at(-1)?.position ?? 0 }));
    expect(ids(next)).toEqual(['b.c', 'bad 2']);
    expect(ids(await collect(flows.runs(Line, { after: next.at(-1)?.position ?? 0 })))).toEqual(['d']);
    expect(await collect(flows.runs(Line, { limit: 0 }))).toEqual([]);
  });

  it('tells what changes meanwhile again, as it is then', async () => {
    await using app = await startFlowApp(nats.url, [], { consume: false });
    const flows = app.get(FlowClient);
    const run = await flows.start(Unborn, 'x', { runId: 'open' });
    const seen: string[] = [];
    for await (const { state } of flows.runs(Unborn)) {
      seen.push(state);
      if (state === 'running') await run.cancel();
    }
    expect(seen).toEqual(['running', 'cancelled']);
  });

  it('is empty before the first run, and refused without records', async () => {
    await using app = await startFlowApp(nats.url, [], { consume: false });
    const flows = app.get(FlowClient);
    expect(await collect(flows.runs(flow('nobody', { input: Text })))).toEqual([]);
    await expect(collect(flows.runs(Silent))).rejects.toThrow(ConfigurationError);
  });
});
