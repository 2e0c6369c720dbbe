import { fromBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import {
  DeadLetters,
  DecodeError,
  fixed,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  json,
  type FlowContext,
} from 'nestjs-jetstream-flow';
import { RunSchema } from '../../../lib/codec/gen/flow/v1/run_pb.js';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { useFlowServer } from '../../support/flow-server.js';
import { gate } from '../../support/gate.js';
import { until } from '../../support/until.js';

const MAX_PAYLOAD = 1_048_576;
const Text = json<string>('Text');
const Full = flow('full', { input: Text, output: Text });
const Odd = flow('odd', { input: Text, output: Text });
const Come = flow('come', { input: Text, output: Text });
const GARBAGE = new Uint8Array([0xff, 0xff, 0xff]);

class Steps {
  outputLength = 10;
  fails = true;
  readonly left = gate();
  readonly calls: string[] = [];

  @FlowStep({ flow: Full })
  root(text: string): string {
    return text;
  }
  @FlowStep({ flow: Full, after: 'root' })
  keep(): string {
    return 'x'.repeat(this.outputLength - 2);
  }
  @FlowStep({ flow: Full, after: 'root', retry: fixed(1, { attempts: 2 }) })
  async fail(): Promise<undefined> {
    await this.left.opened;
    if (this.fails) throw new RangeError('always '.repeat(100), { cause: new Error('because') });
    return undefined;
  }

  @FlowStep({ flow: Odd, retry: fixed(1, { attempts: 2 }) })
  split(text: string, ctx: FlowContext): string {
    this.calls.push(`${ctx.step}:${ctx.runId}`);
    return text;
  }
  @FlowStep({ flow: Odd, after: 'split', when: (text) => text === 'x', retry: fixed(1, { attempts: 2 }) })
  async end(text: string, ctx: FlowContext): Promise<string> {
    this.calls.push(`${ctx.step}:${ctx.runId}`);
    await this.left.opened;
    if (this.fails) throw new RangeError('always');
    return text;
  }

  @FlowStep({ flow: Come, subject: 'come.in', retry: fixed(1, { attempts: 1 }) })
  arrive(): string {
    throw new RangeError('at once');
  }
}

describe('a message that is given up while its run', () => {
  const nats = useFlowServer();

  async function start() {
    const logged: string[] = [];
    const ignore = (): void => undefined;
    const keep = (line: unknown): unknown => logged.push(String(line));
    const app = await FlowTestApp.start(
      ({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [Steps] }),
      { server: nats, logger: { log: ignore, warn: keep, error: keep } },
    );
    return {
      logged,
      steps: app.get(Steps),
      flows: app.get(FlowClient),
      letters: app.get(DeadLetters),
      [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
    };
  }
  const settled = (stream: string, consumer: string) =>
    until(async () => (await nats.streams.unfinished(stream, consumer)) === 0, { what: `the end of ${consumer}` });
  const record = async (subject: string) =>
    (await nats.streams.manager.streams.getMessage('FLOW_full', { last_by_subj: subject }))!.data;

  /** Runs the fork; its record then has `room` bytes left of what the server takes, when the other branch fails. */
  async function fillRecord(at: Awaited<ReturnType<typeof start>>, runId: string, room: number) {
    const begin = async (id: string) => {
      const run = await at.flows.start(Full, 'x', { runId: id });
      const isKept = async () =>
        fromBinary(RunSchema, await record(`flow.full.run.${id}`))
          .settled.toSorted()
          .join() === 'keep,root';
      await until(isKept, { what: 'the kept result' });
      return run;
    };
    const probe = runId.replace(/.$/, '_');
    await begin(probe);
    const { length } = await record(`flow.full.run.${probe}`);
    // The length of the result takes two bytes more, and a publish has a header.
    const header = 'NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 100\r\n\r\n'.length;
    at.steps.outputLength += MAX_PAYLOAD - length - header - 2 - room;
    return begin(runId);
  }

  it.each([
    ['little', 1_500, 'failed'],
    ['no', 8, 'running'],
  ])('has a record with %s room left lies in the dead letters and is done with', async (name, room, state) => {
    await using at = await start();
    const runId = `room-${name}`;
    const run = await fillRecord(at, runId, room);
    at.steps.left.open();
    const letter = await until(() => at.letters.get(`full.fail.${runId}`), { what: 'the letter' });
    expect(letter).toMatchObject({ reason: 'attempts-exhausted', attempts: 2, error: { name: 'RangeError' } });
    await settled('FLOW_full', 'step_fail');
    expect(await run.status()).toMatchObject({ state, pending: 1 });
    if (state === 'failed') await expect(run.result()).rejects.toThrow(/always/);

    at.steps.fails = false;
    await at.letters.redrive(`full.fail.${runId}`);
    if (state === 'failed') expect(await run.result()).toHaveLength(at.steps.outputLength - 2);
    // There is no room for its completion either.
    else {
      expect(at.logged.filter((line) => /was redriven/.test(line))).toEqual([
        expect.stringMatching(
          /^Run "room-no": its record does not say that .* step "fail" was redriven: .*max_payload/,
        ),
      ]);
      const again = async () => (await at.letters.get(`full.fail.${runId}`))?.reason === 'undeliverable-result';
      await until(again, { what: 'the next letter' });
    }
    await settled('FLOW_full', 'step_fail');
  });

  it('has a record with no room left can be discarded', async () => {
    await using at = await start();
    await fillRecord(at, 'room-none', 8);
    at.steps.left.open();
    await until(() => at.letters.get('full.fail.room-none'), { what: 'the letter' });
    await settled('FLOW_full', 'step_fail');
    await at.letters.discard('full.fail.room-none');
    expect(await at.letters.get('full.fail.room-none')).toBeUndefined();
    expect(at.logged).toContainEqual(
      expect.stringMatching(/^Run "room-none": its record does not say .* step "fail" was discarded: .*max_payload/),
    );
  });

  it('has a record that cannot be read lies in the dead letters and is done with', async () => {
    await using at = await start();
    const run = await at.flows.start(Odd, 'x', { runId: 'no-record' });
    await until(() => at.steps.calls.includes('end:no-record'), { what: 'the last step' });
    await nats.streams.publish('flow.odd.run.no-record', GARBAGE);
    at.steps.left.open();
    const letter = await until(() => at.letters.get('odd.end.no-record'), { what: 'the letter' });
    expect(letter.reason).toBe('attempts-exhausted');
    await settled('FLOW_odd', 'step_end');
    await expect(run.status()).rejects.toThrow(DecodeError);
    await expect(at.letters.redrive('odd.end.no-record')).rejects.toThrow(DecodeError);
    await at.letters.discard('odd.end.no-record');
    expect(await at.letters.get('odd.end.no-record')).toBeUndefined();
    expect(at.logged).toContainEqual(
      expect.stringMatching(/^Run "no-record": its record does not say .* step "end" was discarded: .*flow\.v1\.Run/),
    );
  });

  it('has a record that cannot be read when it arrives is told of, also when its handler fails before that', async () => {
    await using at = await start();
    await nats.streams.publish('flow.come.run.garbled', GARBAGE);
    await nats.streams.publish('come.in', 'x', { headers: { 'Flow-Run-Id': 'garbled' } });
    await until(() => at.letters.get('come.arrive.garbled'), { what: 'the letter' });
    const told = await until(() => at.logged.find((line) => /came to step/.test(line)), { what: 'the warning' });
    expect(told).toMatch(/^Run "garbled": that it came to step "arrive" could not be recorded; .*flow\.v1\.Run/);
    await settled('FLOW_come_IN', 'flow_come=arrive=come=2Ein');
    expect(at.logged.filter((line) => /came to step/.test(line))).toEqual([told]);
  });

  it('has an outcome that cannot be read lies in the dead letters and is done with', async () => {
    await using at = await start();
    await nats.streams.publish('flow.odd.outcome.split.no-outcome', GARBAGE);
    await at.flows.start(Odd, 'x', { runId: 'no-outcome' });
    const letter = await until(() => at.letters.get('odd.split.no-outcome'), { what: 'the letter' });
    expect(letter.error.name).toBe('DecodeError');
    expect(letter.error.message).toContain('flow.v1.Outcome');
    await settled('FLOW_odd', 'start');
    expect((await at.flows.run(Odd, 'no-outcome').status()).state).toBe('failed');
  });
});
