import { describe, expect, it } from 'vitest';
import { DeadLetters, Flow, flow, FlowClient, FlowStep, json, RetryLater } from 'nestjs-jetstream-flow';
import { collect } from '../../support/collect.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const Brief = flow('brief', { input: json<string>('Note'), retention: '1h' });

@Flow(Brief)
class BriefFlow {
  @FlowStep()
  wait(): string {
    throw new RetryLater('2h');
  }
}

describe('the retention of a flow', () => {
  const server = useFlowServer();

  it('sends a message to the dead letters that would be gone before its next attempt', async () => {
    await using app = await startFlowApp(server.url, [BriefFlow]);
    const run = await app.get(FlowClient).start(Brief, 'note', { runId: 'r1' });
    await expect(run.result()).rejects.toThrow('failed');
    const letters = await collect(app.get(DeadLetters).list());
    expect(letters.map(({ reason, attempts }) => ({ reason, attempts }))).toEqual([
      { reason: 'retention-exceeded', attempts: 1 },
    ]);
  });
});
