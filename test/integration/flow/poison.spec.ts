import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { StringValueSchema, type StringValue } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  fixed,
  flow,
  FlowClient,
  FlowStep,
  MessageTooLargeError,
  RunFailedError,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { collect } from '../../support/collect.js';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { TestStreams } from '../../support/jetstream-client.js';
import { until } from '../../support/until.js';

const MAX_PAYLOAD = 1_048_576;

const text = (value: string): StringValue => create(StringValueSchema, { value });
const bytes = (value: string): Uint8Array => toBinary(StringValueSchema, text(value));

/** A message whose encoding is exactly as large as the server takes. */
function largest(prefix: string): Uint8Array {
  for (let length = MAX_PAYLOAD - 16; ; length++) {
    const encoded = bytes(prefix.padEnd(length, 'x'));
    if (encoded.length === MAX_PAYLOAD) return encoded;
  }
}

const Texts = flow('texts', { input: StringValueSchema, output: StringValueSchema });

class TextSteps {
  readonly attempts = new Map<string, number>();
  readonly arrived = new Set<string>();
  readonly aborted: unknown[] = [];

  @FlowStep({
    flow: Texts,
    subject: 'texts.new',
    input: StringValueSchema,
    output: StringValueSchema,
    retry: fixed(5, { attempts: 3 }),
    timeout: '300ms',
    concurrency: 8,
  })
  async work({ value }: StringValue, ctx: FlowContext): Promise<StringValue> {
    const kind = value.slice(0, value.indexOf(':'));
    this.attempts.set(kind, (this.attempts.get(kind) ?? 0) + 1);
    if (kind === 'throws') throw new RangeError('always');
    if (kind === 'hangs') {
      ctx.signal.addEventListener('abort', () => this.aborted.push(ctx.signal.reason));
      return new Promise<never>(() => undefined);
    }
    if (kind === 'grows') return text('g'.repeat(MAX_PAYLOAD + 1));
    return Promise.resolve(text(value.slice(0, 100)));
  }

  @FlowStep({ flow: Texts, after: 'work', concurrency: 64 })
  end(value: StringValue, ctx: FlowContext): StringValue {
    this.arrived.add(ctx.runId);
    return value;
  }
}

const Work = flow('work', { input: StringValueSchema, output: StringValueSchema });

class WorkSteps {
  readonly arrived = new Set<string>();

  @FlowStep({ flow: Work, subject: 'work.texts', retry: fixed(5, { attempts: 1 }) })
  work({ value }: StringValue, ctx: FlowContext): StringValue {
    if (value.startsWith('throws')) throw new RangeError('always', { cause: new Error('a reason '.repeat(200)) });
    this.arrived.add(ctx.runId);
    return text(value.slice(0, 100));
  }
}

const Wide = flow('wide', { input: StringValueSchema, output: StringValueSchema });

class WideSteps {
  /** Fits into a message without the run's metadata, and not with it. */
  @FlowStep({ flow: Wide, output: StringValueSchema })
  root(): StringValue {
    return text('w'.repeat(MAX_PAYLOAD - 5_000));
  }
  @FlowStep({ flow: Wide, after: 'root' })
  left(value: StringValue): StringValue {
    return value;
  }
  @FlowStep({ flow: Wide, after: 'root' })
  right(value: StringValue): StringValue {
    return value;
  }
}

describe('poison', () => {
  const nats = useFlowServer();

  it('of every kind ends in the dead letters, and 1,000 good messages beside it arrive', async () => {
    await using app = await startFlowApp(nats.url, [TextSteps], { instance: 'worker-1' });
    const steps = app.get(TextSteps);
    const { streams } = nats;
    const poison: Record<string, Uint8Array> = {
      undecodable: new Uint8Array([0xff, 0xff, 0xff]),
      throws: bytes('throws:'),
      hangs: bytes('hangs:'),
      grows: bytes('grows:'),
    };
    const good = Array.from({ length: 1_000 }, (_, at) => `good-${at}`);
    const sent = good.map((id, at) => {
      const [kind, data] = Object.entries(poison)[at / 250] ?? [];
      const beside =
        kind !== undefined && streams.publish('texts.new', data, { id: kind, headers: { 'X-Kind': kind } });
      return Promise.all([streams.publish('texts.new', bytes(`good:${id}`), { id }), beside]);
    });
    await Promise.all(sent);

    await until(() => steps.arrived.size === good.length, { what: 'all good messages', timeoutMs: 25_000 });
    expect([...steps.arrived].toSorted()).toEqual(good.toSorted());
    const letters = app.get(DeadLetters);
    const found = await until(
      async () => {
        const all = await collect(letters.list({ flow: 'texts' }));
        return all.length >= 4 ? all : undefined;
      },
      { what: 'four dead letters' },
    );
    expect(found.map(({ id, reason, attempts, error }) => [id, reason, attempts, error.name]).toSorted()).toEqual([
      ['texts.work.grows', 'undeliverable-result', 1, 'MessageTooLargeError'],
      ['texts.work.hangs', 'attempts-exhausted', 3, 'StepTimeoutError'],
      ['texts.work.throws', 'attempts-exhausted', 3, 'RangeError'],
      ['texts.work.undecodable', 'undecodable', 1, 'DecodeError'],
    ]);
    for (const { runId, payload, headers, instance, stream, subject, step, flow: name } of found) {
      expect(payload).toEqual(poison[runId]);
      expect(headers.get('X-Kind')).toEqual([runId]);
      expect([instance, stream, subject, step, name]).toEqual([
        'worker-1',
        'FLOW_texts_IN',
        'texts.new',
        'work',
        'texts',
      ]);
      await expect(app.get(FlowClient).run(Texts, runId).result()).rejects.toThrow(RunFailedError);
    }
    for (const { publishedAt, deadAt } of found) expect(deadAt.getTime()).toBeGreaterThanOrEqual(publishedAt.getTime());
    expect(found.find(({ runId }) => runId === 'throws')?.error.stack).toContain('poison.spec.ts');
    expect(steps.aborted.map(String)).toEqual(Array(3).fill(expect.stringContaining('StepTimeoutError')));
    expect(await streams.unfinished('FLOW_texts_IN', 'flow_texts=work=texts=2Enew')).toBe(0);
  });

  it('as large as the server takes goes through when it can, and lies whole in the dead letters when not', async () => {
    // A work queue forgets what was acknowledged: the payload must be in the dead letters, not here.
    await nats.streams.manager.streams.add({ name: 'WORK', subjects: ['work.>'], retention: 'workqueue' });
    await using app = await startFlowApp(nats.url, [WorkSteps]);
    const { arrived } = app.get(WorkSteps);
    const letters = app.get(DeadLetters);

    const good = await nats.streams.publish('work.texts', largest('good:'));
    await until(() => arrived.has(`WORK-${good}`), { what: 'the large good message' });

    for (const data of [largest('throws:'), new Uint8Array(MAX_PAYLOAD).fill(0xff)]) {
      const sequence = await nats.streams.publish('work.texts', data);
      const id = `work.work.WORK-${sequence}`;
      const letter = await until(() => letters.get(id), { what: 'the letter' });
      await until(async () => (await nats.streams.unfinished('WORK', 'flow_work=work=work=2Etexts')) === 0, {
        what: 'the acknowledgement',
      });
      expect(Buffer.from((await letters.get(id))?.payload ?? []).equals(data)).toBe(true);
      expect(letter.sequence).toBe(sequence);

      // It fills the server's limit to the last byte, so there is no room for the headers of a redriven message.
      await expect(letters.redrive(id)).rejects.toThrow(MessageTooLargeError);
      const all = letters.redriveAll({ flow: 'work' });
      await expect(all).rejects.toMatchObject({
        name: 'RedriveError',
        redriven: 0,
        failures: new Map([[id, expect.any(MessageTooLargeError)]]),
      });
      expect((await letters.get(id))?.payload).toHaveLength(MAX_PAYLOAD);
      const run = app.get(FlowClient).run(Work, `WORK-${sequence}`);
      expect((await run.status()).state).toBe('failed');

      await letters.discard(id);
      expect(await letters.get(id)).toBeUndefined();
      expect(await nats.streams.subjects('FLOW_DEAD', `flow.dead_payload.${id}`)).toEqual(new Map());
    }
  });

  it('that is almost as large is redriven from the dead letters', async () => {
    await using app = await startFlowApp(nats.url, [TextSteps]);
    const letters = app.get(DeadLetters);
    const data = bytes('throws:'.padEnd(MAX_PAYLOAD - 1_000, 'x'));
    const sequence = await nats.streams.publish('texts.new', data);
    const id = `texts.work.FLOW_texts_IN-${sequence}`;
    await until(() => letters.get(id), { what: 'the letter' });
    await letters.redrive(id);
    const again = await until(() => letters.get(id), { what: 'the next letter' });
    expect(again).toMatchObject({ subject: `flow.texts.step.work.FLOW_texts_IN-${sequence}`, stream: 'FLOW_texts' });
    expect(Buffer.from(again.payload ?? []).equals(data)).toBe(true);
  });

  it('that is a result too large for the messages to several steps fails its run', async () => {
    await using app = await startFlowApp(nats.url, [WideSteps]);
    const metadata = { note: 'm'.repeat(10_000) };
    const run = await app.get(FlowClient).start(Wide, text('x'), { runId: 'wide', metadata });
    await expect(run.result()).rejects.toThrow(/max_payload/);
    expect(await app.get(DeadLetters).get('wide.root.wide')).toMatchObject({ reason: 'undeliverable-result' });
    expect(await nats.streams.subjects('FLOW_wide', 'flow.wide.step.>')).toEqual(new Map());
  });

  it('is kept as far as there is room on a server that takes little', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'flow-small-'));
    const file = join(directory, 'small.conf');
    await writeFile(file, 'max_payload: 4KB');
    await using server = await EmbeddedNatsServer.start({ args: ['-c', file] });
    await using streams = await TestStreams.connect(server);
    await using app = await startFlowApp(server.url, [WorkSteps]);
    const headers = { 'X-Large': 'h'.repeat(3_400), 'X-Small': 'kept' };
    const data = bytes('throws:'.padEnd(500, 'x'));
    const sequence = await streams.publish('work.texts', data, { headers });
    const id = `work.work.FLOW_work_IN-${sequence}`;
    const letter = await until(() => app.get(DeadLetters).get(id), { what: 'the letter' });
    expect(letter.payload).toEqual(data);
    expect(letter.error).toMatchObject({ name: 'RangeError', message: 'always' });
    expect(letter.headers.get('X-Small')).toEqual(['kept']);
    expect(letter.headers.get('X-Large')?.[0]).toBe('(left out: too long)');
    await rm(directory, { recursive: true });
  });
});
