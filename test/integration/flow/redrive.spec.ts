import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ConflictError,
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  FlowStep,
  json,
  RunCancelledError,
  RunFailedError,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

const MAX_PAYLOAD = 1_048_576;
const Text = json<string>('Text');
const Road = flow('road', { input: Text, output: Text });
const Bare = flow('bare', { input: Text, output: Text, track: 'none' });
const NO_RETRY = fixed(1, { attempts: 1 });

/** What a handler saw of its message. */
interface Seen {
  readonly text: string;
  readonly subject: string;
  readonly headers: FlowContext['headers'];
  readonly metadata: FlowContext['metadata'];
}

/** Steps fail as long as their name is in `broken`. */
class Steps {
  readonly broken = new Set<string>();
  reason: string | undefined;
  readonly seen: Seen[] = [];

  @FlowStep({ flow: Road, subject: 'road.>', retry: NO_RETRY })
  first(text: string, ctx: FlowContext): string {
    return this.work(text, ctx);
  }
  @FlowStep({ flow: Road, after: 'first', retry: NO_RETRY })
  second(text: string, ctx: FlowContext): string {
    return this.work(text, ctx);
  }

  @FlowStep({ flow: Bare, retry: NO_RETRY })
  only(text: string, ctx: FlowContext): string {
    return this.work(text, ctx);
  }

  private work(text: string, ctx: FlowContext): string {
    this.seen.push({ text, subject: ctx.message.subject, headers: ctx.headers, metadata: ctx.metadata });
    if (this.broken.has(ctx.step)) throw new Error(this.reason ?? `${ctx.step} is broken`);
    return text.length > 100 ? 'long' : `${text}>${ctx.step}`;
  }
}

describe('redriving', () => {
  const nats = useFlowServer();

  async function start(...broken: string[]) {
    const app = await startFlowApp(nats.url, [Steps]);
    const steps = app.get(Steps);
    for (const step of broken) steps.broken.add(step);
    return {
      steps,
      flows: app.get(FlowClient),
      letters: app.get(DeadLetters),
      [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
    };
  }

  it.each([1, 2])('sends a message that its stream has forgotten, at its death number %i', async (deaths) => {
    await using at = await start('second');
    const runId = `forgotten-${deaths}`;
    const id = `road.second.${runId}`;
    const run = await at.flows.start(Road, 'x', { runId });
    await expect(run.result()).rejects.toThrow(RunFailedError);
    let letter = await at.letters.get(id);
    if (deaths === 2) {
      await at.letters.redrive(id);
      const before = letter?.sequence;
      letter = await until(async () => {
        const next = await at.letters.get(id);
        return next?.sequence !== before ? next : undefined;
      }, { what: 'the second letter' }); // prettier-ignore
    }
    await nats.streams.manager.streams.deleteMessage('FLOW_road', letter!.sequence);
    at.steps.broken.clear();
    await at.letters.redrive(id);
    expect(await run.result()).toBe('x>first>second');
    expect(await at.letters.get(id)).toBeUndefined();
  });

  it('keeps a letter whose place another message has taken, and says so', async () => {
    await using at = await start('first');
    const headers = { 'Flow-Run-Id': 'shared' };
    const id = 'road.first.shared';
    await nats.streams.publish('road.in', 'x', { headers });
    await until(() => at.letters.get(id), { what: 'the first letter' });
    at.steps.broken.clear();
    await at.letters.redrive(id);
    const run = at.flows.run(Road, 'shared');
    expect(await run.result()).toBe('x>first>second');

    const bytes = new TextEncoder().encode('{no JSON');
    await nats.streams.publish('road.in', bytes, { headers });
    await until(() => at.letters.get(id), { what: 'the second letter' });
    await expect(at.letters.redrive(id)).rejects.toThrow(ConflictError);
    await expect(at.letters.redrive(id)).rejects.toThrow(
      /"road\.first\.shared" cannot be redriven.*another message.*"flow\.road\.step\.first\.shared"/,
    );
    await expect(at.letters.redriveAll({ flow: 'road' })).rejects.toMatchObject({
      redriven: 0,
      failures: new Map([[id, expect.any(ConflictError)]]),
    });
    expect(await at.letters.get(id)).toMatchObject({ reason: 'undecodable', payload: bytes });
    await at.letters.discard(id);
  });

  it('keeps the payload of the next letter when a large message dies again at once', async () => {
    await using at = await start('first');
    const text = 'x'.repeat(MAX_PAYLOAD - 1_000);
    const id = 'road.first.large';
    await nats.streams.publish('road.in', text, { headers: { 'Flow-Run-Id': 'large' } });
    let sequence = 0;
    const nextLetter = () =>
      until(async () => {
        const letter = await at.letters.get(id);
        if (letter === undefined || letter.sequence === sequence) return undefined;
        sequence = letter.sequence;
        return letter;
      }, { what: 'the next letter' }); // prettier-ignore
    await nextLetter();
    sequence = 0;
    for (let round = 1; round <= 15; round++) {
      await at.letters.redrive(id);
      const letter = await nextLetter();
      expect(letter.payload, `in round ${round}`).toHaveLength(text.length + 2);
    }
    at.steps.broken.clear();
    await at.letters.redrive(id);
    expect(await at.flows.run(Road, 'large').result()).toBe('long>second');
    expect(await nats.streams.subjects('FLOW_DEAD', `flow.dead_payload.${id}`)).toEqual(new Map());
  });

  it('gives the step the subject and the headers the message had, each time', async () => {
    await using at = await start('first');
    const id = 'road.first.same';
    const headers = {
      'Flow-Run-Id': 'same',
      'X-Tenant': 'acme',
      baggage: 'a=1',
      traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
    };
    await nats.streams.publish('road.from.elsewhere', 'x', { id: 'same', headers });
    for (const times of [1, 2]) {
      await until(() => at.letters.get(id), { what: 'the letter' });
      if (times === 2) at.steps.broken.clear();
      await at.letters.redrive(id);
      await until(() => at.steps.seen.length > times, { what: 'the redriven message' });
    }
    expect(await at.flows.run(Road, 'same').result()).toBe('x>first>second');
    const [first, ...again] = at.steps.seen.filter(({ text }) => text === 'x');
    expect(again).toHaveLength(2);
    for (const { subject, headers: received } of again) {
      expect(subject).toBe('road.from.elsewhere');
      for (const name of ['Flow-Run-Id', 'X-Tenant', 'baggage']) {
        expect(received.get(name)).toEqual(first?.headers.get(name));
      }
      expect(received.get('traceparent')).toBeUndefined();
      expect(received.get('Nats-Msg-Id')).toBeUndefined();
    }
    // Later steps are not concerned.
    expect(at.steps.seen.at(-1)?.subject).toBe('flow.road.step.second.same');
    expect(at.steps.seen.at(-1)?.headers.get('X-Tenant')).toBeUndefined();
  });

  it('gives a started message the subject it was started with', async () => {
    await using at = await start('first');
    const run = await at.flows.start(Road, 'x', { runId: 'started' });
    await expect(run.result()).rejects.toThrow(RunFailedError);
    at.steps.broken.clear();
    await at.letters.redrive('road.first.started');
    await run.result();
    expect(at.steps.seen.map(({ subject }) => subject)).toEqual([
      'flow.road.start.started',
      'flow.road.start.started',
      'flow.road.step.second.started',
    ]);
  });

  it.each(['road', 'bare'])(
    'refuses a letter of a cancelled run, which stays until it is discarded: %s',
    async (name) => {
      const [contract, step] = name === 'road' ? [Road, 'first'] : [Bare, 'only'];
      await using at = await start(step);
      const run = await at.flows.start(contract, 'x', { runId: 'cancelled' });
      const id = `${name}.${step}.cancelled`;
      await until(() => at.letters.get(id), { what: 'the letter' });
      expect(await run.cancel()).toBe(true);
      at.steps.broken.clear();
      await expect(at.letters.redrive(id)).rejects.toThrow(RunCancelledError);
      await expect(at.letters.redrive(id)).rejects.toThrow(
        /cancelled: its dead letter ".*" cannot be redriven; discard it/,
      );
      expect(await at.letters.get(id)).toMatchObject({ payload: new TextEncoder().encode('"x"') });
      expect(await nats.streams.subjects(`FLOW_${name}`, `flow.${name}.step.${step}.cancelled`)).toEqual(new Map());
      await at.letters.discard(id);
      expect(await at.letters.get(id)).toBeUndefined();
    },
  );

  it('or discarding is known to the run, also when that comes before the death is recorded', async () => {
    await using at = await start('second');
    const { manager } = nats.streams;
    const subject = 'flow.road.run.unrecorded';
    const run = await at.flows.start(Road, 'x', { runId: 'unrecorded' });
    const before = (await manager.streams.getMessage('FLOW_road', { last_by_subj: subject }))!;
    await expect(run.result()).rejects.toThrow(RunFailedError);
    // The letter is stored before the record says so: as if somebody were faster than the record.
    await nats.streams.publish(subject, before.data);
    expect(await run.status()).toMatchObject({ state: 'running', pending: 1 });
    await at.letters.discard('road.second.unrecorded');
    expect(await run.status()).toMatchObject({ state: 'failed', pending: 0, failure: { message: 'second is broken' } });
    await expect(run.result()).rejects.toThrow(/second is broken/);
  });

  it('gives the step the metadata of its run, also when the letter had to be cut', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flow-small-'));
    const file = join(directory, 'small.conf');
    await writeFile(file, 'max_payload: 4KB');
    await using server = await EmbeddedNatsServer.start({ args: ['-c', file] });
    await using app = await startFlowApp(server.url, [Steps]);
    const steps = app.get(Steps);
    const letters = app.get(DeadLetters);
    steps.broken.add('first');
    steps.reason = 'broken '.repeat(1_000);
    const metadata = { tenant: 'acme'.repeat(300) };
    const run = await app.get(FlowClient).start(Road, 'x', { runId: 'cut', metadata });
    const letter = await until(() => letters.get('road.first.cut'), { what: 'the letter' });
    expect(letter.error.message.length).toBeLessThan(1_000);
    await expect(run.result()).rejects.toThrow(/broken/);
    steps.broken.clear();
    await letters.redrive('road.first.cut');
    expect(await run.result()).toBe('x>first>second');
    expect(steps.seen.map((seen) => seen.metadata)).toEqual([metadata, metadata, metadata]);
    await rm(directory, { recursive: true });
  });

  it('finds a letter for each message, also of a stream that was made anew and counts from 1 again', async () => {
    const sequences: number[] = [];
    for (const text of ['one of many', 'before', 'after']) {
      await using at = await start('first');
      const sequence = await nats.streams.publish('road.anew', text, { headers: { 'Flow-Run-Id': 'anew' } });
      sequences.push(sequence);
      const letter = await until(() => at.letters.get('road.first.anew'), { what: `the letter of "${text}"` });
      expect(letter).toMatchObject({ sequence, payload: new TextEncoder().encode(JSON.stringify(text)) });
      await at.letters.discard('road.first.anew');
      await nats.streams.manager.streams.delete('FLOW_road_IN');
    }
    expect(sequences.slice(1)).toEqual([1, 1]);
  });
});
