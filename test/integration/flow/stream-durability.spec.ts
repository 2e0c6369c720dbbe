import { describe, expect, it } from 'vitest';
import { DeadLetters, Flow, flow, FlowClient, FlowStep, json } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

const Notes = flow('notes', { input: json<string>('Note') });

@Flow(Notes)
class NoteFlow {
  @FlowStep()
  keep(note: string): string {
    return note;
  }
}

describe('how streams are stored', () => {
  const server = useFlowServer();

  it('stays as it is when a process asks for nothing in particular', async () => {
    const { manager } = server.streams;
    await using worker = await startFlowApp(server.url, [NoteFlow], {
      durability: 'memory',
      deadLetterRetention: '90d',
    });
    expect(worker.get(FlowClient)).toBeDefined();
    await using web = await startFlowApp(server.url, [], { consume: false });
    const run = await web.get(FlowClient).start(Notes, 'kept');
    expect(await run.result()).toBe('kept');
    for await (const letter of web.get(DeadLetters).list()) expect.fail(letter.error.message);
    expect((await manager.streams.info('FLOW_notes')).config.storage).toBe('memory');
    expect((await manager.streams.info('FLOW_DEAD')).config.max_age).toBe(90 * 86_400_000 * 1_000_000);
  });

  it('is file, with dead letters for 30 days, when nobody ever asked', async () => {
    const { manager } = server.streams;
    await manager.streams.delete('FLOW_DEAD');
    const Others = flow('others', { input: json<string>('Note') });
    await using web = await startFlowApp(server.url, [], { consume: false });
    await web.get(FlowClient).start(Others, 'first');
    for await (const letter of web.get(DeadLetters).list()) expect.fail(letter.error.message);
    expect((await manager.streams.info('FLOW_others')).config.storage).toBe('file');
    expect((await manager.streams.info('FLOW_DEAD')).config.max_age).toBe(30 * 86_400_000 * 1_000_000);
  });
});
