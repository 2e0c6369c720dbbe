import { inspect } from 'node:util';
import { Catch, type ExceptionFilter } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { describe, expect, it } from 'vitest';
import {
  custom,
  DeadLetters,
  exponential,
  fixed,
  flow,
  FlowClient,
  FlowModule,
  FlowStep,
  json,
  RetryLater,
  RunFailedError,
  TerminalError,
  type FlowContext,
  type RetryPolicy,
} from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';
import { startFlowApp, type FlowApp } from '../../support/flow-app.js';
import { useFlowServer } from '../../support/flow-server.js';

/** What the handler of each flow throws at an attempt; nothing lets it succeed. */
type Plan = (attempt: number) => unknown;

interface Attempt {
  readonly number: number;
  readonly redelivered: boolean;
  readonly atMs: number;
}

const Input = json<string>('Text');
let flowNumber = 0;

/** A flow of one step with this policy, which throws what `plan` says. */
function failing(plan: Plan, retry?: RetryPolicy) {
  flowNumber += 1;
  const contract = flow(`failing_${flowNumber}`, { input: Input, output: Input });
  class Steps {
    readonly attempts: Attempt[] = [];

    @FlowStep({ flow: contract, name: 'work', ...(retry && { retry }) })
    work(text: string, ctx: FlowContext): string {
      this.attempts.push({ number: ctx.attempt, redelivered: ctx.redelivered, atMs: performance.now() });
      const thrown = plan(ctx.attempt);
      if (thrown !== undefined) throw thrown as Error;
      return text;
    }
  }
  return { contract, Steps };
}

@Catch()
class Unconcerned implements ExceptionFilter {
  catch(): undefined {
    return undefined;
  }
}

/** Milliseconds between the attempts. */
function gaps(attempts: readonly Attempt[]): number[] {
  return attempts.slice(1).map(({ atMs }, at) => atMs - attempts[at]!.atMs);
}

async function failureOf(app: FlowApp, contract: ReturnType<typeof failing>['contract']): Promise<unknown> {
  const run = await app.get(FlowClient).start(contract, 'x', { runId: 'r' });
  return run.result().then(
    (result) => ({ result }),
    (error: unknown) => error,
  );
}

describe('a step that fails', () => {
  const nats = useFlowServer();

  it('is tried again until it succeeds, and told so', async () => {
    const { contract, Steps } = failing((attempt) => (attempt < 3 ? new Error('not yet') : undefined), fixed('20ms'));
    await using app = await startFlowApp(nats.url, [Steps]);
    const run = await app.get(FlowClient).start(contract, 'x');
    expect(await run.result()).toBe('x');
    const { attempts } = app.get(Steps);
    expect(attempts.map(({ number, redelivered }) => [number, redelivered])).toEqual([
      [1, false],
      [2, true],
      [3, true],
    ]);
    expect(await app.get(DeadLetters).get(`${contract.name}.work.${run.runId}`)).toBeUndefined();
  });

  it.each([
    ['without an exception filter', undefined],
    ['with one that does not take the error', new Unconcerned()],
  ])('is logged once per attempt, with its stack: %s', async (_case, filter) => {
    const { contract, Steps } = failing(() => new RangeError('never'), fixed(1, { attempts: 3 }));
    const lines: string[] = [];
    const take = (...args: unknown[]): unknown =>
      /never/.test(inspect(args)) && lines.push(args.map(String).join('\n'));
    const filters = filter === undefined ? [] : [{ provide: APP_FILTER, useValue: filter }];
    await using app = await FlowTestApp.start(
      ({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [Steps, ...filters] }),
      { server: nats, logger: { log: take, warn: take, error: take } },
    );
    await failureOf(app, contract);
    expect(lines).toEqual([
      expect.stringMatching(/step "work" failed at attempt 1, again in 1 ms: RangeError: never\n.*retries\.spec\.ts/),
      expect.stringMatching(/step "work" failed at attempt 2, again in 1 ms: RangeError: never\n.*retries\.spec\.ts/),
      expect.stringMatching(/gave its message up at attempt 3[^]*retries\.spec\.ts/),
    ]);
  });

  it('is named by the failure of its run, with its error, and its reason in the log as in the letter', async () => {
    const thrown = Object.assign(new RangeError('Out of range.', { cause: new Error('inner') }), { code: 'E_RANGE' });
    const { contract, Steps } = failing(() => thrown, fixed(1, { attempts: 2 }));
    const errors: string[] = [];
    const ignore = (): void => undefined;
    await using app = await FlowTestApp.start(
      ({ url }) => ({ imports: [FlowModule.forRoot({ servers: url })], providers: [Steps] }),
      { server: nats, logger: { log: ignore, warn: ignore, error: (line: unknown) => errors.push(String(line)) } },
    );
    const error = await failureOf(app, contract);
    expect(error).toMatchObject({
      step: 'work',
      message: `Run "r" of flow "${contract.name}" failed at step "work": Out of range. See its dead letters; redrive continues it there.`,
      cause: { name: 'RangeError', message: 'Out of range.', code: 'E_RANGE', cause: { message: 'Error: inner' } },
    });
    expect((error as Error & { cause: Error }).cause.stack).toContain('retries.spec.ts');
    const { reason } = (await app.get(DeadLetters).get(`${contract.name}.work.r`)) ?? {};
    expect(errors).toContainEqual(expect.stringMatching(`gave its message up at attempt 2 \\(${reason}\\)`));
  });

  it('waits the same time with fixed(), and ends in the dead letters after the last attempt', async () => {
    const { contract, Steps } = failing(() => new RangeError('never'), fixed('150ms', { attempts: 3 }));
    await using app = await startFlowApp(nats.url, [Steps]);
    const error = await failureOf(app, contract);
    expect(error).toBeInstanceOf(RunFailedError);
    expect(String(error)).toContain('never');
    const between = gaps(app.get(Steps).attempts);
    expect(between).toHaveLength(2);
    for (const gap of between) expect(gap).toBeGreaterThan(145);
    expect(await app.get(DeadLetters).get(`${contract.name}.work.r`)).toMatchObject({
      reason: 'attempts-exhausted',
      attempts: 3,
      error: { name: 'RangeError', message: 'never' },
    });
  });

  it('waits longer each time with exponential(), up to the longest delay', async () => {
    const policy = exponential('60ms', { attempts: 5, max: '200ms', jitter: false });
    const { contract, Steps } = failing(() => new Error('never'), policy);
    await using app = await startFlowApp(nats.url, [Steps]);
    await failureOf(app, contract);
    const between = gaps(app.get(Steps).attempts);
    expect(between).toHaveLength(4);
    for (const [at, least] of [60, 120, 200, 200].entries()) expect(between[at]).toBeGreaterThan(least - 5);
  });

  it('waits as custom() decides by error and attempt, which may give up early', async () => {
    const seen: [string, number][] = [];
    const policy = custom(
      (error, attempt) => {
        seen.push([String(error), attempt]);
        return attempt === 3 ? 'dead-letter' : attempt * 70;
      },
      { attempts: 10 },
    );
    const { contract, Steps } = failing((attempt) => new Error(`no. ${attempt}`), policy);
    await using app = await startFlowApp(nats.url, [Steps]);
    await failureOf(app, contract);
    expect(seen).toEqual([
      ['Error: no. 1', 1],
      ['Error: no. 2', 2],
      ['Error: no. 3', 3],
    ]);
    const [first, second, ...more] = gaps(app.get(Steps).attempts);
    expect(first).toBeGreaterThan(65);
    expect(second).toBeGreaterThan(135);
    expect(more).toEqual([]);
  });

  it('waits as RetryLater says, which counts as an attempt', async () => {
    const plan: Plan = (attempt) => (attempt < 3 ? new RetryLater('120ms') : new RetryLater('1h'));
    const { contract, Steps } = failing(plan, fixed('1h', { attempts: 3 }));
    await using app = await startFlowApp(nats.url, [Steps]);
    await failureOf(app, contract);
    const between = gaps(app.get(Steps).attempts);
    expect(between).toHaveLength(2);
    for (const gap of between) expect(gap).toBeGreaterThan(115);
    expect(await app.get(DeadLetters).get(`${contract.name}.work.r`)).toMatchObject({ reason: 'attempts-exhausted' });
  });

  it('goes straight to the dead letters with TerminalError', async () => {
    const cause = new TypeError('the root');
    const { contract, Steps } = failing(() => new TerminalError('hopeless', { cause }), fixed('1ms'));
    await using app = await startFlowApp(nats.url, [Steps]);
    await failureOf(app, contract);
    expect(app.get(Steps).attempts).toHaveLength(1);
    const letter = await app.get(DeadLetters).get(`${contract.name}.work.r`);
    expect(letter).toMatchObject({ reason: 'terminal', attempts: 1, error: { code: 'TERMINAL', message: 'hopeless' } });
    expect(letter?.error.causes).toEqual(['TypeError: the root']);
    expect(letter?.error.stack).toContain('retries.spec.ts');
  });

  it.each([
    ['throws', () => { throw new Error('the policy is broken'); }], // prettier-ignore
    ['returns no number', () => Number.NaN],
    ['returns a promise', () => Promise.resolve(1) as unknown as number],
    ['returns less than nothing', () => -1],
  ])('is tried again by the default delays when its policy %s', async (_what, delay) => {
    const { contract, Steps } = failing((attempt) => (attempt < 2 ? new Error('once') : undefined), {
      attempts: 3,
      delay,
    });
    await using app = await startFlowApp(nats.url, [Steps]);
    expect(await failureOf(app, contract)).toEqual({ result: 'x' });
    // exponential('1s') with jitter: half a second at least.
    expect(gaps(app.get(Steps).attempts)[0]).toBeGreaterThan(450);
  });

  it.each([
    ['a text', 'just text', 'just text'],
    ['undefined in a throw', null, 'null'],
    ['an object', { code: 42 }, '{ code: 42 }'],
    ['a symbol', Symbol('odd'), 'Symbol(odd)'],
    ['an object without any text', Object.create(null), '[Object: null prototype] {}'],
    ['an error with a message that is no text', Object.assign(new Error(), { message: { deep: 1 } }), '{ deep: 1 }'],
    ['an error that fails when it is looked at', new Proxy(new Error('x'), { get: () => { throw new Error('don\'t look'); } }), '(cannot be shown as text)'], // prettier-ignore
  ])('may throw anything: %s', async (_what, thrown: unknown, text) => {
    const { contract, Steps } = failing(() => thrown, fixed(1, { attempts: 2 }));
    await using app = await startFlowApp(nats.url, [Steps]);
    const error = await failureOf(app, contract);
    expect(error).toBeInstanceOf(RunFailedError);
    expect(String(error)).toContain(text);
    expect(app.get(Steps).attempts).toHaveLength(2);
  });
});
