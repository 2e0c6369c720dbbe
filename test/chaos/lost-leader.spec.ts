import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { flow, FlowClient, FlowStep, json } from 'nestjs-jetstream-flow';
import { connectForTest } from '../support/connect-for-test.js';
import { startFlowApp } from '../support/flow-app.js';
import { gate } from '../support/gate.js';
import { NatsCluster } from '../support/nats-cluster.js';
import { until } from '../support/until.js';

const NO_LEADER = 10008;
const Text = json<string>('Text');
const Long = flow('long', { input: Text, output: Text });

class Steps {
  readonly calls: string[] = [];
  readonly done = gate();

  @FlowStep({ flow: Long })
  async only(text: string): Promise<string> {
    this.calls.push(text);
    await this.done.opened;
    return `${text} done`;
  }
}

describe('a cluster that has lost its leader', () => {
  it('does not end the following of a run, which gives the result when there is one again', async () => {
    await using cluster = await NatsCluster.start();
    const [first, ...others] = cluster.servers;
    await using nats = await connectForTest(first!);
    const manager = await until(() => jetstreamManager(nats, { timeout: 1_000 }), {
      what: 'a leader',
      timeoutMs: 60_000,
    });
    await using app = await startFlowApp(first!.url, [Steps], { durability: 'replicated', replicas: 3 });
    const run = await app.get(FlowClient).start(Long, 'x', { runId: 'r' });
    await until(() => app.get(Steps).calls.length > 0, { what: 'the handler' });

    await Promise.all(others.map((server) => server.kill()));
    const saysSo = async () => {
      try {
        await manager.streams.getMessage('FLOW_long', { last_by_subj: 'flow.long.run.r' });
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === NO_LEADER;
      }
      return false;
    };
    await until(saysSo, { what: 'the loss of the leader', timeoutMs: 60_000 });
    const result = run.result();
    // What the server says to us now it has said to the run before.
    await until(saysSo, { what: 'the same answer' });
    await Promise.all(others.map((server) => server.restart()));
    app.get(Steps).done.open();
    expect(await result).toBe('x done');
  });
});
