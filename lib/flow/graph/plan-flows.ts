import { ConfigurationError } from '../../common/errors.js';
import type { FlowContract } from '../contract.js';
import type { DeclaredStep } from './declared-step.js';
import { FlowGraph } from './flow-graph.js';
import { normalizeStep } from './normalize-step.js';
import type { StepDefinition } from './step-definition.js';

/** One flow of an application: its graph, and what each of its steps was declared as. */
export interface FlowPlan<S extends DeclaredStep> {
  readonly graph: FlowGraph;
  /** The declaration behind each step of the graph, by step name. */
  readonly declared: ReadonlyMap<string, S>;
}

/**
 * Groups an application's steps by flow and builds the graph of each.
 *
 * @param known problems that whoever found the steps has told already
 * @throws ConfigurationError with every problem of every flow and step, each naming its flow and place.
 */
export function planFlows<S extends DeclaredStep>(
  declaredSteps: readonly S[],
  known: readonly string[] = [],
): FlowPlan<S>[] {
  const problems: string[] = [...known];
  const flows = new Map<string, { contract: FlowContract; definitions: StepDefinition[]; declared: Map<string, S> }>();
  for (const declared of declaredSteps) {
    const { definition, problems: own } = normalizeStep(declared);
    const prefix = definition === undefined ? '' : `flow "${definition.contract.name}", `;
    problems.push(...own.map((problem) => prefix + problem));
    if (definition === undefined) continue;
    const { contract } = definition;
    const flow = flows.get(contract.name) ?? { contract, definitions: [], declared: new Map<string, S>() };
    flows.set(contract.name, flow);
    if (!isSameContract(flow.contract, contract)) {
      problems.push(
        `flow "${contract.name}": ${definition.where} uses another contract of that name, with other types or options; ` +
          'share one contract value.',
      );
    }
    flow.definitions.push(definition);
    flow.declared.set(definition.name, declared);
  }

  const plans: FlowPlan<S>[] = [];
  for (const { contract, definitions, declared } of flows.values()) {
    try {
      plans.push({ graph: FlowGraph.build(contract, definitions), declared });
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      problems.push(...error.problems.map((problem) => `flow "${contract.name}", ${problem}`));
    }
  }
  if (problems.length > 0) throw new ConfigurationError('Flows', problems);
  return plans;
}

/** Two values may stand for one contract when a package was loaded twice; what they say must be the same. */
function isSameContract(a: FlowContract, b: FlowContract): boolean {
  return (
    a === b ||
    (a.input.typeName === b.input.typeName &&
      a.output?.typeName === b.output?.typeName &&
      a.track === b.track &&
      a.retentionMs === b.retentionMs)
  );
}
