import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { json } from '../../../../lib/codec/message-schema.js';
import type { FlowStepOptions } from '../../../../lib/flow/decorators/flow-step.options.js';
import type { StepNode } from '../../../../lib/flow/graph/step-node.js';
import { selectRoutes } from '../../../../lib/flow/graph/select-routes.js';
import { declare, graphOf, problemsOf } from './declare.js';

type Steps = Record<string, FlowStepOptions>;

/**
 * Valid flows of up to 20 steps: s0 is where runs start; each other step listens to a subject or comes after some of the
 * steps before it, some with a condition. They are declared in any order.
 */
const validFlow: fc.Arbitrary<Steps> = fc.integer({ min: 1, max: 20 }).chain((size) =>
  fc
    .record({
      predecessors: fc.tuple(
        ...Array.from({ length: size }, (_, n) =>
          fc.subarray(
            Array.from({ length: n }, (__, before) => `s${before}`),
            { maxLength: Math.min(n, 4) },
          ),
        ),
      ),
      conditional: fc.array(fc.boolean(), { minLength: size, maxLength: size }),
      order: fc.shuffledSubarray(
        Array.from({ length: size }, (_, n) => n),
        { minLength: size },
      ),
    })
    .map(({ predecessors, conditional, order }) =>
      Object.fromEntries(
        order.map((n): [string, FlowStepOptions] => {
          const after = predecessors[n] ?? [];
          if (n === 0) return ['s0', {}];
          if (after.length === 0) return [`s${n}`, { subject: `external.s${n}` }];
          return [`s${n}`, conditional[n] === true ? { after, when: (value) => Number(value) === n } : { after }];
        }),
      ),
    ),
);

const namesOf = (nodes: Iterable<StepNode>): string[] => [...nodes].map((node) => node.name);

describe('a random valid flow', () => {
  it('builds: every step is there and routes mirror what the steps come after', () => {
    fc.assert(
      fc.property(validFlow, (steps) => {
        const graph = graphOf(steps);
        expect([...graph.steps.keys()]).toEqual(Object.keys(steps));
        expect(graph.startStep?.name).toBe('s0');
        for (const node of graph.steps.values()) {
          const followers = Object.keys(steps).filter((name) => steps[name]?.after?.includes(node.name));
          expect(node.routes.map((route) => route.target.name)).toEqual(followers);
          expect(node.merges).toBe(node.after.length > 1);
          expect(node.isEntry).toBe(node.after.length === 0);
        }
        expect(graph.describe().split('\n')).toHaveLength(graph.steps.size + 1);
      }),
    );
  });

  it('can be walked from its entries to every step, and ends', () => {
    fc.assert(
      fc.property(validFlow, (steps) => {
        const graph = graphOf(steps);
        const nodes = [...graph.steps.values()];
        const reached = new Set(nodes.filter((node) => node.isEntry));
        for (const node of reached) for (const { target } of node.routes) reached.add(target);
        expect(namesOf(reached).sort()).toEqual(namesOf(nodes).sort());

        const depthOf = (node: StepNode): number =>
          1 + Math.max(0, ...node.routes.map(({ target }) => depthOf(target)));
        for (const node of reached) if (node.isEntry) expect(depthOf(node)).toBeLessThanOrEqual(nodes.length);
      }),
    );
  });

  it('sends each value to all unconditional followers and at most one conditional', () => {
    fc.assert(
      fc.property(validFlow, fc.nat(20), (steps, value) => {
        for (const node of graphOf(steps).steps.values()) {
          const chosen = selectRoutes(node, value);
          const plain = node.routes.filter((route) => route.when === undefined);
          expect(chosen.filter((route) => route.when === undefined)).toEqual(plain);
          const holding = node.routes.filter((route) => route.when?.(value));
          expect(chosen.filter((route) => route.when !== undefined)).toEqual(holding.slice(0, 1));
        }
      }),
    );
  });
});

/** A way to break a valid flow at one of its steps; the problem then names the step and matches. */
interface Corruption {
  readonly problem: RegExp;
  /** `undefined` when the flow has no place for it. */
  readonly corrupt: (steps: Steps, name: string) => Steps | undefined;
}

const followersOf = (steps: Steps, name: string): string[] =>
  Object.keys(steps).filter((other) => steps[other]?.after?.includes(name));

const corruptions: Record<string, Corruption> = {
  unknown: {
    problem: /comes after "nowhere"/,
    corrupt: (steps, name) => ({ ...steps, [name]: { after: ['nowhere'] } }),
  },
  circle: {
    problem: /follow each other in a circle/,
    corrupt: (steps, name) => {
      const [follower] = followersOf(steps, name);
      return follower === undefined ? undefined : { ...steps, [name]: { after: [follower] } };
    },
  },
  itself: {
    problem: /follow each other in a circle/,
    corrupt: (steps, name) => ({ ...steps, [name]: { after: name } }),
  },
  duplicate: {
    problem: /is used 2 times/,
    corrupt: (steps, name) => ({ ...steps, again: { name, subject: 'external.again' } }),
  },
  both: {
    problem: /both "subject" and "after"/,
    corrupt: (steps, name) => {
      const { after } = steps[name] ?? {};
      return after === undefined ? undefined : { ...steps, [name]: { after, subject: 'external.both' } };
    },
  },
  secondStart: {
    problem: /started runs could begin at/,
    corrupt: (steps) => ({ ...steps, second: {} }),
  },
  conditionalEntry: {
    problem: /it has no "after"/,
    corrupt: (steps, name) => {
      const { after, ...rest } = steps[name] ?? {};
      return after === undefined ? { ...steps, [name]: { ...rest, when: () => true } } : undefined;
    },
  },
  invalidName: {
    problem: /not a valid step name/,
    corrupt: (steps, name) => ({ ...steps, [name]: { ...steps[name], name: `${name}.x` } }),
  },
  loneOtherwise: {
    problem: /no step after ".*" has a "when"/,
    corrupt: (steps, name) => {
      const followers = followersOf(steps, name);
      if (followers.some((follower) => steps[follower]?.when !== undefined)) return undefined;
      return { ...steps, rest: { after: name, otherwise: true } };
    },
  },
  types: {
    problem: /takes Other \(JSON\), but comes after/,
    corrupt: (steps, name) => {
      const [follower] = followersOf(steps, name);
      if (follower === undefined) return undefined;
      return {
        ...steps,
        [name]: { ...steps[name], output: json('One') },
        [follower]: { ...steps[follower], input: json('Other') },
      };
    },
  },
};

describe.each(Object.entries(corruptions))('a flow broken by "%s"', (_, { problem, corrupt }) => {
  it('is refused for that reason', () => {
    fc.assert(
      fc.property(validFlow, fc.nat(), (steps, at) => {
        const names = Object.keys(steps);
        const broken = corrupt(steps, names[at % names.length] ?? '');
        fc.pre(broken !== undefined);
        expect(problemsOf(declare(steps))).toEqual([]);
        expect(problemsOf(declare(broken))).toContainEqual(expect.stringMatching(problem));
      }),
    );
  });
});

it('tells every unknown step, bad option and invalid name at once', () => {
  fc.assert(
    fc.property(
      validFlow,
      fc.array(fc.constantFrom('unknown', 'concurrency', 'name'), { maxLength: 20 }),
      (steps, kinds) => {
        const broken = { ...steps };
        kinds.forEach((kind, n) => {
          broken[`bad${n}`] = {
            unknown: { after: `nowhere${n}` },
            concurrency: { after: 's0', concurrency: -1 },
            name: { after: 's0', name: `bad ${n}` },
          }[kind];
        });
        const found = problemsOf(declare(broken));
        expect(found).toHaveLength(kinds.length);
        for (const n of kinds.keys())
          expect(found.filter((problem) => problem.includes(`Steps.bad${n})`))).toHaveLength(1);
      },
    ),
  );
});
