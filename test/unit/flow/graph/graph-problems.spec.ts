import { describe, expect, it } from 'vitest';
import { RunSchema } from '../../../../lib/codec/gen/flow/v1/run_pb.js';
import { json } from '../../../../lib/codec/message-schema.js';
import { flow } from '../../../../lib/flow/contract.js';
import type { FlowStepOptions } from '../../../../lib/flow/decorators/flow-step.options.js';
import { planFlows } from '../../../../lib/flow/graph/plan-flows.js';
import { declare, Orders, problemsOf } from './declare.js';

const A = json<number>('A');
const B = json<string>('B');

/** Options as a user without a type checker could write them. */
const unchecked = (options: object): FlowStepOptions => options;

function problems(steps: Readonly<Record<string, FlowStepOptions>>, contract = Orders): readonly string[] {
  return problemsOf(declare(steps, contract));
}

describe('problems of one step', () => {
  it.each<[string, FlowStepOptions, string]>([
    ['an invalid name', { name: 'a.b' }, '"a.b" is not a valid step name; use 1 to 64 letters'],
    ['an unknown option', unchecked({ timout: '1s' }), 'there is no option "timout". Did you mean "timeout"?'],
    ['a bad duration', unchecked({ timeout: 'soon' }), 'option "timeout": "soon" is not a duration'],
    ['no time at all', { timeout: 0 }, 'option "timeout": must be longer than nothing'],
    ['a short lease', { ackWait: 50 }, 'option "ackWait": must be 100 ms or more'],
    ['no concurrency', { concurrency: 0 }, 'option "concurrency"'],
    ['half a place', { concurrency: 1.5 }, 'option "concurrency"'],
    ['an unknown ack', unchecked({ ack: 'triple' }), 'option "ack"'],
    ['no policy', unchecked({ retry: 5 }), 'option "retry": must be a retry policy'],
    ['a policy without attempts', { retry: { attempts: 0, delay: () => 0 } }, 'option "retry": must be a retry policy'],
    ['too few deliveries', { maxDeliveries: 3 }, '"maxDeliveries" (3) is less than the retry policy\'s attempts (5)'],
    ['no schema', unchecked({ input: 'Order' }), 'option "input": must be a generated Protobuf schema'],
    ['an empty list', { after: [] }, 'option "after": is an empty list'],
    [
      'a reserved subject',
      { subject: 'flow.orders.x' },
      'subject "flow.orders.x" begins with "flow.", which is reserved',
    ],
    ['a broken subject', { subject: ['ok', 'a..b'] }, 'subject "a..b" has an empty token'],
    ['a repeated subject', { subject: ['a', 'a'] }, 'subject "a" is listed twice'],
    ['when on an entry', { when: () => true }, 'it has no "after"'],
    ['otherwise on an entry', { otherwise: true }, 'it has no "after"'],
    ['a run id without subject', { runId: () => '' }, '"runId" names the run of an external message'],
    ['deliver without subject', { deliver: 'new' }, '"deliver" chooses among the messages of external subjects'],
  ])('%s', (_, options, problem) => {
    const found = problems({ step: options });
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`flow "orders", step "${options.name ?? 'step'}" (Steps.step): `);
    expect(found[0]).toContain(problem);
  });

  it('a step without a flow', () => {
    expect(problemsOf([{ contract: undefined, methodName: 'lost', options: {}, where: 'Steps.lost' }])).toEqual([
      expect.stringMatching(/^step "lost" \(Steps\.lost\): it belongs to no flow: decorate the class with @Flow/),
    ]);
  });

  it('subject and after, when and otherwise', () => {
    const found = problems({
      a: {},
      b: { after: 'a', when: () => true },
      c: { after: 'a', subject: 'x', when: () => true, otherwise: true },
    });
    expect(found).toEqual([
      expect.stringContaining('step "c" (Steps.c): it has both "subject" and "after"'),
      expect.stringContaining('step "c" (Steps.c): it has both "when" and "otherwise"'),
    ]);
  });
});

describe('problems of the graph', () => {
  it('an unknown step, with what was probably meant', () => {
    expect(problems({ price: {}, charge: { after: 'prise' } })[0]).toBe(
      'flow "orders", step "charge" (Steps.charge): comes after "prise", which the flow does not have. Did you mean "price"?',
    );
  });

  it('two steps of one name', () => {
    expect(problems({ a: { name: 'x' }, b: { name: 'x', after: 'c' }, c: {} })).toEqual([
      'flow "orders", step name "x" is used 2 times, by Steps.a and Steps.b; names are unique in a flow.',
      expect.stringContaining('started runs could begin'),
    ]);
  });

  it('a method with two decorators', () => {
    const twice = [...declare({ a: {} }), ...declare({ a: {} })];
    expect(problemsOf(twice)[0]).toContain('by Steps.a and Steps.a');
  });

  it('a circle, told once and with its path', () => {
    const found = problems({ a: {}, b: { after: ['a', 'd'] }, c: { after: 'b' }, d: { after: 'c' } });
    expect(found).toEqual([
      'flow "orders", steps follow each other in a circle: b -> c -> d -> b (Steps.b, Steps.c, Steps.d).',
    ]);
  });

  it('a step after itself, and the steps it cuts off', () => {
    const found = problems({ a: {}, b: { after: 'b' }, c: { after: 'b' }, d: { after: ['a', 'b'] } });
    expect(found).toEqual([
      'flow "orders", steps follow each other in a circle: b -> b (Steps.b).',
      'flow "orders", no entry leads to step "c" (Steps.c); nothing would ever run there.',
    ]);
  });

  it('two entries for started runs', () => {
    expect(problems({ a: {}, b: {}, c: { subject: 'x' } })).toEqual([
      'flow "orders", started runs could begin at "a" (Steps.a) and "b" (Steps.b); leave one without "after" and "subject".',
    ]);
  });

  it('otherwise without a when, and twice', () => {
    const found = problems({ a: {}, b: { after: 'a', otherwise: true }, c: { after: 'a', otherwise: true } });
    expect(found).toHaveLength(3);
    expect(found[0]).toContain('no step after "a" has a "when"');
    expect(found[2]).toContain('"otherwise" after "a" is claimed by "b" (Steps.b) and "c" (Steps.c)');
  });
});

describe('types that do not meet', () => {
  it('between two steps', () => {
    expect(problems({ a: { output: A }, b: { after: 'a', input: B } })).toEqual([
      'flow "orders", step "b" (Steps.b): takes B (JSON), but comes after "a" (Steps.a), which gives A (JSON).',
    ]);
  });

  it('between a merge and one of the steps before it', () => {
    const found = problems({
      a: {},
      b: { after: 'a', output: A },
      c: { after: 'a', output: B },
      d: { after: ['b', 'c'] },
    });
    expect(found).toEqual([
      expect.stringContaining('"d" (Steps.d): takes A (JSON), but comes after "c" (Steps.c), which gives B'),
    ]);
  });

  it('between steps that want different things of one', () => {
    const found = problems({ a: {}, b: { after: 'a', input: A }, c: { after: 'a', input: B } });
    expect(found).toEqual([expect.stringContaining('"c" (Steps.c): takes B (JSON), but comes after "a"')]);
  });

  it('between the contract and the start, JSON and Protobuf', () => {
    expect(problems({ a: { input: RunSchema } })).toEqual([
      expect.stringContaining("takes flow.v1.Run, but the contract's input is Order (JSON)"),
    ]);
  });

  it('between the end and the contract', () => {
    const contract = flow('orders', { input: A, output: B });
    expect(problems({ a: { output: A } }, contract)).toEqual([
      expect.stringContaining("ends the flow with A (JSON), but the contract's output is B (JSON)"),
    ]);
  });

  it('between a Protobuf end and a contract without output, unless nobody records the result', () => {
    const steps = { a: { output: RunSchema } };
    expect(problems(steps)).toEqual([
      expect.stringMatching(/^flow "orders", step "a" .*flow\.v1\.Run, but the contract has no output.*declare/),
    ]);
    expect(problems(steps, flow('orders', { input: A, track: 'none' }))).toEqual([]);
    expect(problems(steps, flow('orders', { input: A, output: RunSchema }))).toEqual([]);
    expect(problems({ a: { output: RunSchema }, b: { after: 'a', output: json() } })).toEqual([]);
  });

  it('not when JSON has no name, nor at an entry where no run is started', () => {
    expect(problems({ a: { output: json() }, b: { after: 'a', input: B } })).toEqual([]);
    expect(problems({ a: { subject: 'x', input: RunSchema }, b: {} })).toEqual([]);
  });
});

describe('all problems at once', () => {
  it('of several flows and steps', () => {
    const Refunds = flow('refunds', { input: A });
    const found = problems({
      a: { concurrency: 0, timeout: -1 },
      b: { after: 'x' },
      refund: { flow: Refunds, after: 'y' },
      other: { flow: flow('refunds', { input: B }), subject: 'ok' },
    });
    expect(found.map((problem) => problem.slice(0, problem.indexOf(':')))).toEqual([
      'flow "orders", step "a" (Steps.a)',
      'flow "orders", step "a" (Steps.a)',
      'flow "refunds"',
      'flow "orders", step "b" (Steps.b)',
      'flow "refunds", step "refund" (Steps.refund)',
    ]);
  });

  it('tolerates two equal contracts of one name', () => {
    const again = flow('orders', { input: json<number>('Order') });
    expect(planFlows(declare({ a: {}, b: { flow: again, after: 'a' } }))).toHaveLength(1);
  });
});
