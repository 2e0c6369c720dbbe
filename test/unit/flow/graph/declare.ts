import { json } from '../../../../lib/codec/message-schema.js';
import { ConfigurationError } from '../../../../lib/common/errors.js';
import { flow, type FlowContract } from '../../../../lib/flow/contract.js';
import type { FlowStepOptions } from '../../../../lib/flow/decorators/flow-step.options.js';
import type { DeclaredStep } from '../../../../lib/flow/graph/declared-step.js';
import type { FlowGraph } from '../../../../lib/flow/graph/flow-graph.js';
import { planFlows } from '../../../../lib/flow/graph/plan-flows.js';

export const Orders = flow('orders', { input: json<number>('Order') });

/** Steps of a class `Steps`, by method name. */
export function declare(
  steps: Readonly<Record<string, FlowStepOptions>>,
  contract: FlowContract | undefined = Orders,
): DeclaredStep[] {
  return Object.entries(steps).map(([methodName, options]) => ({
    contract: options.flow ?? contract,
    methodName,
    options,
    where: `Steps.${methodName}`,
  }));
}

/** The graph of the only flow. */
export function graphOf(steps: Readonly<Record<string, FlowStepOptions>>, contract?: FlowContract): FlowGraph {
  const [plan, ...others] = planFlows(declare(steps, contract));
  if (plan === undefined || others.length > 0) throw new Error('expected one flow');
  return plan.graph;
}

/** What is wrong with the steps; nothing when they are fine. */
export function problemsOf(declared: readonly DeclaredStep[]): readonly string[] {
  try {
    planFlows(declared);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}
