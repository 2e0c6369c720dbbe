import { describe, expect, it } from 'vitest';
import { RunSchema } from '../../../../lib/codec/gen/flow/v1/run_pb.js';
import { json } from '../../../../lib/codec/message-schema.js';
import { flow } from '../../../../lib/flow/contract.js';
import { DEFAULT_RETRY, fixed } from '../../../../lib/flow/retry-policy.js';
import { selectRoutes } from '../../../../lib/flow/graph/select-routes.js';
import { graphOf, Orders } from './declare.js';

const Priced = json<{ total: number }>('Priced');
const Receipt = json<{ total: number }>('Receipt');

const example = {
  price: { subject: 'orders.created', output: Priced },
  charge: { after: 'price', output: Receipt },
  review: { after: 'charge', when: (receipt: unknown) => (receipt as { total: number }).total > 1000 },
  confirm: { after: 'charge', otherwise: true },
  archive: { after: ['review', 'confirm'], input: Receipt },
} as const;

describe('a graph', () => {
  it('connects its steps', () => {
    const graph = graphOf(example);
    expect([...graph.steps.keys()]).toEqual(['price', 'charge', 'review', 'confirm', 'archive']);
    const shape = [...graph.steps.values()].map((node) => [
      node.name,
      node.isEntry,
      node.merges,
      node.after,
      node.routes.map((route) => route.target),
    ]);
    const node = (name: string) => graph.steps.get(name);
    expect(shape).toEqual([
      ['price', true, false, [], [node('charge')]],
      ['charge', false, false, ['price'], [node('review'), node('confirm')]],
      ['review', false, false, ['charge'], [node('archive')]],
      ['confirm', false, false, ['charge'], [node('archive')]],
      ['archive', false, true, ['review', 'confirm'], []],
    ]);
  });

  it('gives every step its settings, with defaults', () => {
    const runId = () => 'id';
    const retry = fixed('1s', { attempts: 3 });
    const graph = graphOf({
      first: { subject: ['a', 'b.*'], runId, retry, timeout: '5s', concurrency: 2, ackWait: '10s', ack: 'double' },
      second: { after: 'first', maxDeliveries: 7 },
    });
    expect(graph.steps.get('first')).toMatchObject({
      where: 'Steps.first',
      subjects: ['a', 'b.*'],
      runId,
      retry,
      timeoutMs: 5000,
      concurrency: 2,
      ackWaitMs: 10_000,
      ack: 'double',
      maxDeliveries: 23,
    });
    expect(graph.steps.get('second')).toMatchObject({
      subjects: [],
      retry: DEFAULT_RETRY,
      timeoutMs: 60_000,
      concurrency: 16,
      ackWaitMs: 30_000,
      ack: 'single',
      maxDeliveries: 7,
    });
    expect(graph.steps.get('second')).not.toHaveProperty('runId');
  });

  it('names steps by their option where they have one', () => {
    const graph = graphOf({ method: { name: 'step' }, next: { after: 'step' } });
    expect([...graph.steps.keys()]).toEqual(['step', 'next']);
  });
});

describe('the start of a run', () => {
  const accepting = (steps: Parameters<typeof graphOf>[0]): string[] =>
    [...graphOf(steps).steps.values()].filter((node) => node.acceptsStart).map((node) => node.name);

  it('is the only entry, also when it listens to a subject', () => {
    expect(accepting({ a: {}, b: { after: 'a' } })).toEqual(['a']);
    expect(accepting({ a: { subject: 'orders' }, b: { after: 'a' } })).toEqual(['a']);
  });

  it('is among several entries the one without a subject', () => {
    expect(accepting({ a: { subject: 'orders' }, b: {}, c: { after: ['a', 'b'] } })).toEqual(['b']);
  });

  it('is nowhere when all of several entries listen to subjects', () => {
    const graph = graphOf({ a: { subject: 'x' }, b: { subject: 'y' } });
    expect(graph.startStep).toBeUndefined();
  });
});

describe('types of messages', () => {
  const types = (graph: ReturnType<typeof graphOf>): Record<string, string> =>
    Object.fromEntries(
      [...graph.steps.values()].map((node) => [node.name, `${node.inputCodec.typeName} ${node.outputCodec.typeName}`]),
    );

  it('come from the contract, the step before and the step after', () => {
    const contract = flow('orders', { input: RunSchema, output: Receipt });
    expect(types(graphOf({ a: {}, b: { after: 'a', input: Priced }, c: { after: 'b' } }, contract))).toEqual({
      a: 'flow.v1.Run Priced',
      b: 'Priced Receipt',
      c: 'Receipt Receipt',
    });
  });

  it('are JSON where nobody says anything', () => {
    expect(types(graphOf({ a: {}, b: { after: 'a' } }))).toEqual({ a: 'Order json', b: 'json json' });
  });
});

describe('selectRoutes', () => {
  const names = (value: unknown): string[] => {
    const node = graphOf({
      split: {},
      always: { after: 'split' },
      tens: { after: 'split', when: (n: unknown) => Number(n) >= 10 },
      rest: { after: 'split', otherwise: true },
      fives: { after: 'split', when: (n: unknown) => Number(n) >= 5 },
      alsoAlways: { after: 'split' },
    }).steps.get('split');
    return node === undefined ? [] : selectRoutes(node, value).map((route) => route.target.name);
  };

  it('takes every unconditional route and the first that holds, or the rest', () => {
    expect(names(12)).toEqual(['always', 'tens', 'alsoAlways']);
    expect(names(7)).toEqual(['always', 'fives', 'alsoAlways']);
    expect(names(1)).toEqual(['always', 'rest', 'alsoAlways']);
  });

  it('may lead nowhere', () => {
    const graph = graphOf({ a: {}, b: { after: 'a', when: () => false } });
    const node = graph.steps.get('a');
    expect(node && selectRoutes(node, 1)).toEqual([]);
  });

  it('does not evaluate predicates behind the one that holds', () => {
    const asked: string[] = [];
    const ask = (name: string, answer: boolean) => () => {
      asked.push(name);
      return answer;
    };
    const graph = graphOf({
      a: {},
      b: { after: 'a', when: ask('b', false) },
      c: { after: 'a', when: ask('c', true) },
      d: { after: 'a', when: ask('d', true) },
    });
    const node = graph.steps.get('a');
    expect(node && selectRoutes(node, 1).map((route) => route.target.name)).toEqual(['c']);
    expect(asked).toEqual(['b', 'c']);
  });

  it('passes the error of a predicate on', () => {
    const graph = graphOf({
      a: {},
      b: {
        after: 'a',
        when: () => {
          throw new RangeError('no answer');
        },
      },
    });
    const node = graph.steps.get('a');
    expect(() => node && selectRoutes(node, 1)).toThrow(new RangeError('no answer'));
  });
});

it('describes itself for the boot log', () => {
  expect(graphOf(example, flow('orders', { input: Orders.input, output: Receipt })).describe()).toMatchInlineSnapshot(`
    "flow orders: 5 steps, track run, stream FLOW_orders (flow.orders.>), kept 7d
      price    <- start, "orders.created"  Order => Priced     -> charge
      charge   <- price                    Priced => Receipt   -> review (when), confirm (otherwise)
      review   <- charge                   Receipt => Receipt  -> archive
      confirm  <- charge                   Receipt => Receipt  -> archive
      archive  <- review, confirm          Receipt => Receipt  -> end"
  `);
});

it('draws itself as a Mermaid flowchart', () => {
  expect(graphOf({ ...example, end: { after: 'archive' } }).toMermaid()).toMatchInlineSnapshot(`
    "flowchart TD
      s0["price"]
      s0_0(["start"]) --> s0
      s0_1(["orders.created"]) --> s0
      s0 --> s1
      s1["charge"]
      s1 -->|when| s2
      s1 -->|otherwise| s3
      s2["review"]
      s2 --> s4
      s3["confirm"]
      s3 --> s4
      s4["archive"]
      s4 --> s5
      s5["end"]"
  `);
});
