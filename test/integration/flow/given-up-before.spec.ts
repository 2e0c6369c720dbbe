import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { DeadLetters, flow, FlowClient, FlowStep, json, TerminalError, type FlowContext } from 'nestjs-jetstream-flow';
import { DeadLetterSchema, DeadReason } from '../../../lib/codec/gen/flow/v1/dead_letter_pb.js';
import { RunSchema } from '../../../lib/codec/gen/flow/v1/run_pb.js';
import { deathOf, markDead } from '../../../lib/flow/runs/run-record.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Tracked = flow('tracked', { input: Text, output: Text });
const Untracked = flow('untracked', { input: Text, output: Text, track: 'none' });

class Steps {
  readonly calls: string[] = [];

  @FlowStep({ flow: Tracked })
  only(text: string, ctx: FlowContext): void {
    this.fail(ctx);
  }
  @FlowStep({ flow: Untracked, name: 'only' })
  untracked(text: string, ctx: FlowContext): void {
    this.fail(ctx);
  }

  private fail({ message }: FlowContext): void {
    this.calls.push(message.subject);
    throw new TerminalError('still hopeless');
  }
}

describe('a message that an earlier delivery gave up before its worker died', () => {
  const nats = useFlowServer();

  it.each([
    ['and the record says so', Tracked, 'recorded'],
    ['and the record does not say so yet', Tracked, 'unrecorded'],
    ['and there is no record', Untracked, 'untracked'],
  ] as const)('does not come to its handler again, %s', async (_what, contract, runId) => {
    const { manager, nats: connection } = nats.streams;
    const stream = `FLOW_${contract.name}`;
    const started = `flow.${contract.name}.start.${runId}`;
    const last = async (subject: string) => (await manager.streams.getMessage(stream, { last_by_subj: subject }))!;
    await (await startFlowApp(nats.url, [Steps]))[Symbol.asyncDispose]();
    {
      await using client = await startFlowApp(nats.url, [], { consume: false });
      await client.get(FlowClient).start(contract, 'x', { runId });
    }
    const request = JSON.stringify({ batch: 1, expires: 5_000_000_000 });
    const taken = await connection.request(`$JS.API.CONSUMER.MSG.NEXT.${stream}.start`, request, {
      timeout: 6_000,
      noMux: true,
    });
    const { seq, time } = await last(started);
    const letter = create(DeadLetterSchema, {
      flow: contract.name,
      step: 'only',
      runId,
      reason: DeadReason.TERMINAL,
      failure: { name: 'Error', message: 'hopeless' },
      stream,
      sequence: BigInt(seq),
      publishedAt: timestampFromDate(time),
      subject: started,
      payload: Buffer.from('"x"'),
    });
    await nats.streams.publish(`flow.dead.${contract.name}.only.${runId}`, toBinary(DeadLetterSchema, letter));
    if (runId === 'recorded') {
      const subject = `flow.${contract.name}.run.${runId}`;
      const record = fromBinary(RunSchema, (await last(subject)).data);
      markDead(record, 'only', deathOf('only', stream, seq), letter.failure!);
      await nats.streams.publish(subject, toBinary(RunSchema, record));
    }
    taken.respond('-NAK');
    await connection.flush();

    await using app = await startFlowApp(nats.url, [Steps]);
    await until(async () => (await nats.streams.unfinished(stream, 'start')) === 0, { what: 'the end' });
    const { calls } = app.get(Steps);
    expect(calls).toEqual([]);
    const letters = app.get(DeadLetters);
    const id = `${contract.name}.only.${runId}`;
    expect(await letters.get(id)).toMatchObject({ error: { message: 'hopeless' } });
    if (contract === Tracked) {
      const status = await app.get(FlowClient).run(contract, runId).status();
      expect(status).toMatchObject({ state: 'failed', pending: 1, failure: { message: 'hopeless' } });
    }
    // What is sent again is another message: it runs, and dies of its own.
    await letters.redrive(id);
    const again = await until(() => letters.get(id), { what: 'the second letter' });
    expect([again.error.message, calls]).toEqual(['still hopeless', [started]]);
  });
});
