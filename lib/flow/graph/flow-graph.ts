import { codecFor } from '../../codec/message-schema.js';
import { ConfigurationError } from '../../common/errors.js';
import type { FlowContract } from '../contract.js';
import { describeGraph } from './describe-graph.js';
import { checkSchemas, resolveSchemas, type StepSchemas } from './resolve-schemas.js';
import { checkStructure } from './check-structure.js';
import { findStartStep } from './start-step.js';
import type { StepDefinition } from './step-definition.js';
import type { Route, StepNode } from './step-node.js';
import { mermaidOf } from './to-mermaid.js';

/**
 * The steps of one flow and the ways between them, checked. It is a directed graph without cycles in which every
 * step can be reached.
 */
export class FlowGraph {
  private constructor(
    readonly contract: FlowContract,
    /** All steps by name, in the order of their declaration. */
    readonly steps: ReadonlyMap<string, StepNode>,
    /** Where started runs begin; absent when runs begin with external messages only. */
    readonly startStep: StepNode | undefined,
  ) {}

  /**
   * Connects the steps of a flow.
   *
   * @param definitions all steps of `contract`, in the order of their declaration.
   * @throws ConfigurationError with every problem of the graph.
   */
  static build(contract: FlowContract, definitions: readonly StepDefinition[]): FlowGraph {
    const schemas = resolveSchemas(contract, definitions);
    const structure = checkStructure(definitions);
    // Schemas of a broken structure would only repeat its problems in other words.
    const problems = structure.length > 0 ? structure : checkSchemas(contract, definitions, schemas);
    if (problems.length > 0) throw new ConfigurationError(`Flow "${contract.name}"`, problems);

    const steps = connect(definitions, schemas);
    const start = findStartStep(definitions);
    return new FlowGraph(contract, steps, start && steps.get(start.name));
  }

  /** The graph as indented text, one step a line, for the boot log. */
  describe(): string {
    return describeGraph(this.contract, [...this.steps.values()]);
  }

  /** The graph as a Mermaid flowchart. */
  toMermaid(): string {
    return mermaidOf([...this.steps.values()]);
  }
}

/** A node while its routes are still being added. */
type OpenNode = StepNode & { readonly routes: Route[] };

function connect(
  definitions: readonly StepDefinition[],
  schemas: ReadonlyMap<StepDefinition, StepSchemas>,
): ReadonlyMap<string, StepNode> {
  const start = findStartStep(definitions);
  const nodes = new Map<string, OpenNode>();
  for (const definition of definitions) {
    const schema = schemas.get(definition);
    if (schema !== undefined) nodes.set(definition.name, openNode(definition, schema, definition === start));
  }
  for (const definition of definitions) {
    const target = nodes.get(definition.name);
    if (target === undefined) continue;
    const { when, otherwise } = definition.options;
    const route: Route = { target, otherwise, ...(when === undefined ? {} : { when }) };
    for (const name of definition.options.after) nodes.get(name)?.routes.push(route);
  }
  return nodes;
}

function openNode({ name, where, options }: StepDefinition, schema: StepSchemas, acceptsStart: boolean): OpenNode {
  const { retry, timeoutMs, concurrency, ackWaitMs, ack, maxDeliveries, runId, rate } = options;
  return {
    name,
    where,
    subjects: options.subjects,
    deliver: options.deliver,
    isEntry: options.after.length === 0,
    acceptsStart,
    after: options.after,
    routes: [],
    merges: options.after.length > 1,
    inputCodec: codecFor(schema.input),
    outputCodec: codecFor(schema.output),
    retry,
    timeoutMs,
    concurrency,
    ackWaitMs,
    ack,
    maxDeliveries,
    ...(runId === undefined ? {} : { runId }),
    ...(rate === undefined ? {} : { rate }),
  };
}
