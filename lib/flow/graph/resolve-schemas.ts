import { codecFor, json, UNNAMED_JSON, type MessageSchema } from '../../codec/message-schema.js';
import type { FlowContract } from '../contract.js';
import { findStartStep, isEntry } from './start-step.js';
import type { StepDefinition } from './step-definition.js';

/** What a step takes and gives, defaults filled in. */
export interface StepSchemas {
  readonly input: MessageSchema;
  readonly output: MessageSchema;
}

/**
 * The schemas of every step. A result is of the type the step declares, else of the one a following step declares,
 * else of the contract's output, else JSON; an input is of the type the step declares, else what the preceding step
 * gives, or the contract's input at an entry.
 */
export function resolveSchemas(
  contract: FlowContract,
  definitions: readonly StepDefinition[],
): ReadonlyMap<StepDefinition, StepSchemas> {
  const outputs = new Map<string, MessageSchema>();
  for (const { name, options } of definitions) {
    const wanted = successorsOf(name, definitions).find((successor) => successor.options.input !== undefined);
    outputs.set(name, options.output ?? wanted?.options.input ?? contract.output ?? json());
  }
  return new Map(
    definitions.map((definition) => {
      const [first] = definition.options.after;
      const given = first === undefined ? contract.input : (outputs.get(first) ?? json());
      const input = definition.options.input ?? given;
      return [definition, { input, output: outputs.get(definition.name) ?? json() }];
    }),
  );
}

/** What a flow's steps say about types that cannot all be true. */
export function checkSchemas(
  contract: FlowContract,
  definitions: readonly StepDefinition[],
  schemas: ReadonlyMap<StepDefinition, StepSchemas>,
): string[] {
  const problems: string[] = [];
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const start = findStartStep(definitions);
  for (const definition of definitions) {
    const own = schemas.get(definition);
    if (own === undefined) continue;
    const label = `step "${definition.name}" (${definition.where})`;
    if (definition === start && !meets(contract.input, own.input)) {
      problems.push(`${label}: takes ${nameOf(own.input)}, but the contract's input is ${nameOf(contract.input)}.`);
    }
    for (const name of definition.options.after) {
      const source = byName.get(name);
      const given = source && schemas.get(source)?.output;
      if (source !== undefined && given !== undefined && !meets(given, own.input)) {
        problems.push(
          `${label}: takes ${nameOf(own.input)}, but comes after "${name}" (${source.where}), which gives ${nameOf(given)}.`,
        );
      }
    }
    const isEnd = successorsOf(definition.name, definitions).length === 0;
    const problem = isEnd ? endProblem(contract, own.output) : undefined;
    if (problem !== undefined) problems.push(`${label}: ends the flow with ${nameOf(own.output)}, but ${problem}.`);
  }
  return problems;
}

/** Why what a last step gives is not what waits for the run's result, as the end of a sentence. */
function endProblem({ output, track }: FlowContract, given: MessageSchema): string | undefined {
  if (output !== undefined) {
    return meets(given, output) ? undefined : `the contract's output is ${nameOf(output)}`;
  }
  // Without an output results are read as JSON; without a record nobody reads them.
  if (given.kind === 'json' || track === 'none') return undefined;
  return `the contract has no output, so nobody could read the result: declare the contract's "output"`;
}

/** Whether messages of `given` can be taken as `wanted`. JSON without a name goes with any JSON. */
function meets(given: MessageSchema, wanted: MessageSchema): boolean {
  if (given.kind !== wanted.kind) return false;
  if (given.kind === 'json' && [given.typeName, wanted.typeName].includes(UNNAMED_JSON)) return true;
  return given.typeName === wanted.typeName;
}

function nameOf(schema: MessageSchema): string {
  const { typeName } = codecFor(schema);
  if (schema.kind !== 'json') return typeName;
  return typeName === UNNAMED_JSON ? 'JSON' : `${typeName} (JSON)`;
}

function successorsOf(name: string, definitions: readonly StepDefinition[]): StepDefinition[] {
  return definitions.filter((definition) => !isEntry(definition) && definition.options.after.includes(name));
}
