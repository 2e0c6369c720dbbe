import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { AckPolicy } from '@nats-io/jetstream';
import { describe, expect, it } from 'vitest';
import { DeadLetters, fixed, flow, FlowClient, FlowStep, json, type FlowContext } from 'nestjs-jetstream-flow';
import { OutcomeSchema, RunSchema, RunState } from '../../../lib/codec/gen/flow/v1/run_pb.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

const Text = json<string>('Text');
const Line = flow('line', { input: Text, output: Text });
const Fork = flow('fork', { input: Text, output: Text });
const Poison = flow('poison', { input: Text, output: Text });

/** Every step, by what it would do if it ran: after a crash, what was decided before counts. */
class Steps {
  readonly calls: string[] = [];

  @FlowStep({ flow: Line })
  first(text: string, ctx: FlowContext): string {
    return this.note(text, ctx);
  }
  @FlowStep({ flow: Line, after: 'first' })
  second(text: string, ctx: FlowContext): string {
    return this.note(text, ctx);
  }

  @FlowStep({ flow: Fork })
  root(text: string, ctx: FlowContext): string {
    return this.note(text, ctx);
  }
  @FlowStep({ flow: Fork, after: 'root', when: () => true, input: Text })
  left(text: string, ctx: FlowContext): string {
    return this.note(text, ctx);
  }
  @FlowStep({ flow: Fork, after: 'root', otherwise: true })
  right(text: string, ctx: FlowContext): string {
    return this.note(text, ctx);
  }
  @FlowStep({ flow: Fork, after: 'root' })
  always(text: string, ctx: FlowContext): string {
    return this.note(text, ctx);
  }

  @FlowStep({ flow: Poison, retry: fixed(1, { attempts: 2 }), maxDeliveries: 3 })
  only(text: string, ctx: FlowContext): string {
    this.note(text, ctx);
    throw new Error('always');
  }

  private note(text: string, ctx: FlowContext): string {
    this.calls.push(`${ctx.step}#${ctx.attempt}`);
    return `${text}>${ctx.step}`;
  }
}

describe('a message that comes again after a crash', () => {
  const nats = useFlowServer();
  const json8 = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

  /** Makes streams and consumers, so that the tests can act as a worker that died. */
  async function prepare(): Promise<void> {
    await (await startFlowApp(nats.url, [Steps]))[Symbol.asyncDispose]();
  }

  /** Takes the message as a worker that dies would: it comes again, as a second delivery (or a later one). */
  async function takeAndDie(stream: string, consumer: string, times = 1): Promise<void> {
    const { nats: connection } = nats.streams;
    for (let time = 0; time < times; time++) {
      const request = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
      const message = await connection.request(request, JSON.stringify({ batch: 1, expires: 5_000_000_000 }), {
        timeout: 6_000,
        noMux: true,
      });
      expect(message.reply, `a message of ${consumer}`).toBeTruthy();
      message.respond('-NAK');
      await connection.flush();
    }
  }

  async function started(contract: typeof Line, runId: string): Promise<void> {
    await using client = await startFlowApp(nats.url, [], { consume: false });
    await client.get(FlowClient).start(contract, 'x', { runId });
  }

  const place = (contract: typeof Line, rest: string): string => `flow.${contract.name}.${rest}`;

  it('does not run its handler again when the next message is stored', async () => {
    await prepare();
    await started(Line, 'sent');
    await takeAndDie('FLOW_line', 'start');
    await nats.streams.publish(place(Line, 'step.second.sent'), json8('x>decided'));

    await using app = await startFlowApp(nats.url, [Steps]);
    const run = app.get(FlowClient).run(Line, 'sent');
    expect(await run.result()).toBe('x>decided>second');
    await until(async () => (await nats.streams.unfinished('FLOW_line', 'start')) === 0, { what: 'the end' });
    expect(app.get(Steps).calls).toEqual(['second#1']);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it('ends its branch when what is stored is the mark of a filtered result', async () => {
    await prepare();
    await started(Line, 'filtered');
    await takeAndDie('FLOW_line', 'start');
    const headers = { 'Flow-Filtered': '1' };
    await nats.streams.publish(place(Line, 'step.second.filtered'), new Uint8Array(), { headers });

    await using app = await startFlowApp(nats.url, [Steps]);
    const run = app.get(FlowClient).run(Line, 'filtered');
    expect(await run.result()).toBeUndefined();
    for (const consumer of ['start', 'step_second']) {
      await until(async () => (await nats.streams.unfinished('FLOW_line', consumer)) === 0, { what: consumer });
    }
    expect(app.get(Steps).calls).toEqual([]);
    expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
  });

  it('runs its handler when nothing was stored', async () => {
    await prepare();
    await started(Line, 'nothing');
    await takeAndDie('FLOW_line', 'start', 2);
    await using app = await startFlowApp(nats.url, [Steps]);
    expect(await app.get(FlowClient).run(Line, 'nothing').result()).toBe('x>first>second');
    expect(app.get(Steps).calls).toEqual(['first#3', 'second#1']);
  });

  it('does not run the last handler again when the record says that the run has ended', async () => {
    await prepare();
    {
      // Paused before there is anything to take.
      await using client = await startFlowApp(nats.url, [], { consume: false });
      await client.get(FlowClient).pause(Line, 'second');
    }
    await started(Line, 'ended');
    {
      // The run ends, but its last message is not acknowledged: it was taken by somebody who died, then replaced.
      await using app = await startFlowApp(nats.url, [Steps]);
      expect(app.get(Steps).calls).not.toContain('second#1');
      await until(async () => (await nats.streams.unfinished('FLOW_line', 'step_second')) === 1, {
        what: 'the message',
      });
    }
    await takeAndDie('FLOW_line', 'step_second');
    const subject = place(Line, 'run.ended');
    const { data } = (await nats.streams.manager.streams.getMessage('FLOW_line', { last_by_subj: subject }))!;
    const record = fromBinary(RunSchema, data);
    record.state = RunState.COMPLETED;
    record.pending = 0;
    record.settled = ['second'];
    await nats.streams.publish(subject, toBinary(RunSchema, record));

    await using app = await startFlowApp(nats.url, [Steps]);
    await app.get(FlowClient).resume(Line, 'second');
    await until(async () => (await nats.streams.unfinished('FLOW_line', 'step_second')) === 0, { what: 'the end' });
    expect(app.get(Steps).calls).toEqual([]);
  });

  it.each([0, 1, 2])(
    'follows a stored decision between several steps, %i of its messages being stored',
    async (sent) => {
      await prepare();
      const runId = `decided-${sent}`;
      await started(Fork, runId);
      await takeAndDie('FLOW_fork', 'start');
      // The predicate would send it left today; it was decided otherwise.
      const targets = ['right', 'always'].map((step) => ({ step, index: '' }));
      const outcome = create(OutcomeSchema, { targets, payload: json8('x>decided'), contentType: 'application/json' });
      await nats.streams.publish(place(Fork, `outcome.root.${runId}`), toBinary(OutcomeSchema, outcome));
      for (const { step } of targets.slice(0, sent)) {
        await nats.streams.publish(place(Fork, `step.${step}.${runId}`), json8('x>decided'));
      }

      await using app = await startFlowApp(nats.url, [Steps]);
      const run = app.get(FlowClient).run(Fork, runId);
      const ends = ['x>decided>right', 'x>decided>always'];
      expect(ends).toContain(await run.result());
      await until(async () => (await nats.streams.unfinished('FLOW_fork', 'start')) === 0, { what: 'the end' });
      expect(app.get(Steps).calls.toSorted()).toEqual(['always#1', 'right#1']);
      expect(await run.status()).toMatchObject({ state: 'completed', pending: 0 });
    },
  );

  it('too often is given up without its handler, which may be what kills the process', async () => {
    await prepare();
    await started(Poison, 'killer');
    await takeAndDie('FLOW_poison', 'start', 3);
    await using app = await startFlowApp(nats.url, [Steps]);
    const letter = await until(() => app.get(DeadLetters).get('poison.only.killer'), { what: 'the letter' });
    expect(letter).toMatchObject({ reason: 'deliveries-exhausted', attempts: 4 });
    expect(app.get(Steps).calls).toEqual([]);
    await expect(app.get(FlowClient).run(Poison, 'killer').result()).rejects.toThrow(/3 times|4 times/);
  });

  it('with its dead letter already written is written off once', async () => {
    await prepare();
    {
      await using app = await startFlowApp(nats.url, [Steps]);
      const run = await app.get(FlowClient).start(Poison, 'x', { runId: 'dead' });
      await expect(run.result()).rejects.toThrow(/always/);
    }
    // The same message once more, to a consumer that knows nothing of its acknowledgement.
    const { manager } = nats.streams;
    await manager.consumers.delete('FLOW_poison', 'start');
    await manager.consumers.add('FLOW_poison', {
      durable_name: 'start',
      ack_policy: AckPolicy.Explicit,
      filter_subject: 'flow.poison.start.*',
      max_deliver: -1,
      max_ack_pending: -1,
    });
    await using app = await startFlowApp(nats.url, [Steps]);
    await until(async () => (await nats.streams.unfinished('FLOW_poison', 'start')) === 0, { what: 'the end' });
    expect(await nats.streams.subjects('FLOW_DEAD', 'flow.dead.poison.only.dead')).toHaveProperty('size', 1);
    const run = app.get(FlowClient).run(Poison, 'dead');
    expect(await run.status()).toMatchObject({ state: 'failed', pending: 1 });
    await app.get(DeadLetters).discard('poison.only.dead');
    expect(await run.status()).toMatchObject({ state: 'failed', pending: 0 });
  });

  it('makes a start that was cut short complete when it is repeated', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const flows = app.get(FlowClient);
    // Recorded, but its message never left.
    const record = create(RunSchema, {
      flow: 'line',
      runId: 'recorded',
      state: RunState.RUNNING,
      pending: 1,
      entered: [''],
    });
    await nats.streams.publish(place(Line, 'run.recorded'), toBinary(RunSchema, record));
    const recorded = await flows.start(Line, 'x', { runId: 'recorded' });
    expect(await recorded.result()).toBe('x>first>second');

    // Sent, but its record never left: whoever works on it makes one.
    await nats.streams.publish(place(Line, 'start.unrecorded'), json8('x'));
    const unrecorded = flows.run(Line, 'unrecorded');
    await until(async () => (await unrecorded.status()).state === 'completed', { what: 'the record' });
    const again = await flows.start(Line, 'x', { runId: 'unrecorded' });
    expect(await again.result()).toBe('x>first>second');
    expect(await again.status()).toMatchObject({ state: 'completed', pending: 0 });
    expect(app.get(Steps).calls.filter((call) => call.startsWith('first'))).toHaveLength(2);
  });

  it('sends a redriven message once, also when the redrive was cut short after that', async () => {
    await using app = await startFlowApp(nats.url, [Steps]);
    const { manager } = nats.streams;
    const run = await app.get(FlowClient).start(Poison, 'x', { runId: 'cut' });
    await expect(run.result()).rejects.toThrow(/always/);
    const letters = app.get(DeadLetters);
    const subject = 'flow.dead.poison.only.cut';
    const { data } = (await manager.streams.getMessage('FLOW_DEAD', { last_by_subj: subject }))!;
    await letters.redrive('poison.only.cut');
    const second = await until(() => letters.get('poison.only.cut'), { what: 'the second letter' });
    await letters.discard('poison.only.cut');
    const calls = app.get(Steps).calls.length;

    // The first letter as if it had never been deleted.
    await nats.streams.publish(subject, data);
    await letters.redrive('poison.only.cut');
    expect(await letters.get('poison.only.cut')).toBeUndefined();
    expect(await nats.streams.unfinished('FLOW_poison', 'step_only')).toBe(0);
    expect(app.get(Steps).calls).toHaveLength(calls);
    expect(second.subject).toBe('flow.poison.step.only.cut');
    expect((await run.status()).state).toBe('failed');
  });
});
