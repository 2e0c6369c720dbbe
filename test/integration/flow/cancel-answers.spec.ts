import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { flow, FlowClient, FlowStep, json } from 'nestjs-jetstream-flow';
import { RunSchema, RunState } from '../../../lib/codec/gen/flow/v1/run_pb.js';
import { CuttingProxy } from '../../support/cutting-proxy.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Waiting = flow('waiting', { input: Text, output: Text });
const Unheard = flow('unheard', { input: Text, track: 'none' });

class Steps {
  readonly done = gate();

  @FlowStep({ flow: Waiting })
  async wait(text: string): Promise<string> {
    await this.done.opened;
    return text;
  }
}

describe('what cancelling a run answers', () => {
  const nats = useFlowServer();

  it('is true for the caller that did it, also when the acknowledgement of its write was lost', async () => {
    await using proxy = await CuttingProxy.start(nats.server);
    await using app = await startFlowApp(nats.url, [Steps]);
    await using client = await startFlowApp(proxy.url, [], { consume: false, reconnectWait: 50 });
    const run = await client.get(FlowClient).start(Waiting, 'x', { runId: 'lost-ack' });
    const isCancelled = async () => {
      const stored = await nats.streams.manager.streams.getMessage('FLOW_waiting', {
        last_by_subj: 'flow.waiting.run.lost-ack',
      });
      return stored !== null && fromBinary(RunSchema, stored.data).state === RunState.CANCELLED;
    };
    proxy.dropRepliesAfter(0);
    const answer = run.cancel('enough');
    await until(isCancelled, { what: 'the cancelled record' });
    proxy.restore();
    expect(await answer).toBe(true);
    expect(await run.cancel()).toBe(false);
    expect(await app.get(FlowClient).run(Waiting, 'lost-ack').cancel()).toBe(false);
    app.get(Steps).done.open();
  });

  it('is false at once for a flow that has no stream, tracked or not', async () => {
    await using client = await startFlowApp(nats.url, [], { consume: false });
    const flows = client.get(FlowClient);
    const startedAt = performance.now();
    expect(await flows.run(Unheard, 'nobody').cancel()).toBe(false);
    expect(await flows.run(flow('unheard_too', { input: Text }), 'nobody').cancel()).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    // With a stream nobody knows whether there is such a run.
    await flows.start(Unheard, 'x', { runId: 'somebody' });
    expect(await flows.run(Unheard, 'nobody').cancel()).toBe(true);
  });
});
