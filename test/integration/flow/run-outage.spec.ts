import { describe, expect, it } from 'vitest';
import {
  CancelledError,
  ConnectionError,
  flow,
  FlowClient,
  FlowConnection,
  FlowStep,
  json,
  type FlowRun,
  type RunStatus,
} from 'nestjs-jetstream-flow';
import { startFlowApp, type FlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const QUICK = { reconnectWait: 100 };
const Long = flow('long', { input: Text, output: Text });

class Steps {
  readonly calls: string[] = [];
  readonly done = gate();

  @FlowStep({ flow: Long, ackWait: '1s' })
  async only(text: string): Promise<string> {
    this.calls.push(text);
    await this.done.opened;
    return `${text} done`;
  }
}

describe('following a run', () => {
  const nats = useFlowServer();

  /** Starts a run and waits until its handler waits. */
  async function begin(worker: FlowApp, client: FlowApp, runId: string): Promise<FlowRun<string>> {
    const run = await client.get(FlowClient).start(Long, runId, { runId });
    await until(() => worker.get(Steps).calls.includes(runId), { what: 'the handler' });
    return run;
  }

  function lost(client: FlowApp): Promise<unknown> {
    return until(() => client.get(FlowConnection).status === 'disconnected', { what: 'the loss of the connection' });
  }

  async function last(statuses: AsyncIterable<RunStatus>): Promise<string | undefined> {
    let state: string | undefined;
    for await (const status of statuses) state = status.state;
    return state;
  }

  it.each(['before', 'after'])(
    'that begins while the server is down, %s the loss is noticed, goes on',
    async (moment) => {
      await using worker = await startFlowApp(nats.url, [Steps], QUICK);
      await using client = await startFlowApp(nats.url, [], { ...QUICK, consume: false });
      const run = await begin(worker, client, `down-${moment}`);
      await nats.server.kill();
      if (moment === 'after') await lost(client);
      const result = run.result();
      const state = last(run.watch());
      await lost(client);
      await nats.server.restart();
      worker.get(Steps).done.open();
      expect(await result).toBe(`down-${moment} done`);
      expect(await state).toBe('completed');
    },
  );

  it('ends at once when the caller gives up, the connection lost or not: a result by an error, a watch by its end', async () => {
    await using worker = await startFlowApp(nats.url, [Steps], QUICK);
    await using client = await startFlowApp(nats.url, [], { ...QUICK, consume: false });
    const run = await begin(worker, client, 'given-up');
    for (const down of [false, true]) {
      if (down) {
        await nats.server.kill();
        await lost(client);
      }
      const reason = new Error('enough');
      const controller = new AbortController();
      const { signal } = controller;
      const result = expect(run.result({ signal })).rejects.toMatchObject({ code: 'CANCELLED', cause: reason });
      const state = last(run.watch({ signal }));
      controller.abort(reason);
      await result;
      expect(['running', undefined]).toContain(await state);
      await expect(run.result({ signal })).rejects.toThrow(CancelledError);
      expect(await last(run.watch({ signal }))).toBeUndefined();
    }
    await nats.server.restart();
    worker.get(Steps).done.open();
    expect(await run.result()).toBe('given-up done');
  });

  it('fails when the connection is closed for good', async () => {
    const client = await startFlowApp(nats.url, [], { ...QUICK, consume: false });
    const run = client.get(FlowClient).run(Long, 'nobody');
    await client[Symbol.asyncDispose]();
    await expect(run.result()).rejects.toThrow(ConnectionError);
    await expect(run.watch().next()).rejects.toThrow(ConnectionError);
  });
});
