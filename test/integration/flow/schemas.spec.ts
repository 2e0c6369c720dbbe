import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  Int32ValueSchema,
  StringValueSchema,
  TimestampSchema,
  type Int32Value,
  type StringValue,
  type Timestamp,
} from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from 'vitest';
import { DeadLetters, EncodeError, flow, FlowClient, FlowStep, json } from 'nestjs-jetstream-flow';
import { startFlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';
import { until } from '../../support/until.js';

const Words = flow('words', { input: StringValueSchema, output: TimestampSchema });

class WordSteps {
  @FlowStep({ flow: Words, subject: 'words.said', input: StringValueSchema, output: Int32ValueSchema })
  measure({ value }: StringValue): Int32Value {
    return create(Int32ValueSchema, { value: value.length });
  }
  @FlowStep({ flow: Words, after: 'measure', input: Int32ValueSchema, output: TimestampSchema })
  date({ value }: Int32Value): Timestamp {
    return create(TimestampSchema, { seconds: BigInt(value) });
  }
}

interface Parsed {
  words: string[];
  at: string | null;
}
const Mixed = flow('mixed', { input: StringValueSchema, output: json<Parsed>('Parsed') });

class MixedSteps {
  @FlowStep({ flow: Mixed, output: json<string[]>('Words') })
  parse({ value }: StringValue): string[] {
    return value.split(' ');
  }
  @FlowStep({ flow: Mixed, after: 'parse', input: json<string[]>('Words') })
  pack(words: string[]): Parsed {
    return { words, at: null };
  }
}

const Lying = flow('lying', { input: StringValueSchema, output: StringValueSchema });

class LyingSteps {
  /** Without declared types the compiler cannot know; the message's own type name tells at run time. */
  @FlowStep({ flow: Lying })
  lie(): unknown {
    return create(Int32ValueSchema, { value: 1 });
  }
}

describe('the types of messages', () => {
  const nats = useFlowServer();

  it('are plain Protobuf bytes in the stream, from the start to the result', async () => {
    await using app = await startFlowApp(nats.url, [WordSteps]);
    const flows = app.get(FlowClient);
    const run = await flows.start(Words, create(StringValueSchema, { value: 'seven!!' }), { runId: 'w' });
    expect(await run.result()).toMatchObject({ $typeName: 'google.protobuf.Timestamp', seconds: 7n });

    const { manager } = nats.streams;
    const start = await manager.streams.getMessage('FLOW_words', { last_by_subj: 'flow.words.start.w' });
    expect(fromBinary(StringValueSchema, start!.data).value).toBe('seven!!');
    const step = await manager.streams.getMessage('FLOW_words', { last_by_subj: 'flow.words.step.date.w' });
    expect(fromBinary(Int32ValueSchema, step!.data).value).toBe(7);
  });

  it('are decoded from external messages', async () => {
    await using app = await startFlowApp(nats.url, [WordSteps]);
    const bytes = toBinary(StringValueSchema, create(StringValueSchema, { value: 'four' }));
    await nats.streams.publish('words.said', bytes, { id: 'external' });
    const run = app.get(FlowClient).run(Words, 'external');
    await until(async () => (await run.status()).state === 'completed', { what: 'the run' });
    expect(await run.result()).toMatchObject({ seconds: 4n });
  });

  it('may change between Protobuf and JSON on the way', async () => {
    await using app = await startFlowApp(nats.url, [MixedSteps]);
    const run = await app.get(FlowClient).start(Mixed, create(StringValueSchema, { value: 'ä b' }), { runId: 'm' });
    expect(await run.result()).toEqual({ words: ['ä', 'b'], at: null });
    const { manager } = nats.streams;
    const step = await manager.streams.getMessage('FLOW_mixed', { last_by_subj: 'flow.mixed.step.pack.m' });
    expect(Buffer.from(step!.data).toString()).toBe('["ä","b"]');
  });

  it('are checked when a run is started and when a step returns', async () => {
    await using app = await startFlowApp(nats.url, [LyingSteps]);
    const flows = app.get(FlowClient);
    const wrong = create(Int32ValueSchema, { value: 1 }) as unknown as StringValue;
    await expect(flows.start(Lying, wrong)).rejects.toThrow(EncodeError);

    const run = await flows.start(Lying, create(StringValueSchema, { value: 'x' }), { runId: 'lie' });
    await expect(run.result()).rejects.toThrow(/google\.protobuf\.Int32Value/);
    const letter = await app.get(DeadLetters).get('lying.lie.lie');
    expect(letter).toMatchObject({ reason: 'undeliverable-result', attempts: 1, error: { name: 'EncodeError' } });
  });
});
