import { didYouMean } from '../../common/did-you-mean.js';
import { isEntry, startCandidates } from './start-step.js';
import type { StepDefinition } from './step-definition.js';

/** Everything that is wrong with how a flow's steps are connected, in the order of their declaration. */
export function checkStructure(definitions: readonly StepDefinition[]): string[] {
  if (definitions.length === 0) return ['it has no steps.'];
  const cycles = findCycles(definitions);
  return [
    ...duplicateNames(definitions),
    ...unknownPredecessors(definitions),
    ...cycles.map(describeCycle),
    ...unreachable(definitions, cycles),
    ...ambiguousStart(definitions),
    ...misusedOtherwise(definitions),
  ];
}

function label(definition: StepDefinition): string {
  return `step "${definition.name}" (${definition.where})`;
}

function duplicateNames(definitions: readonly StepDefinition[]): string[] {
  const byName = new Map<string, StepDefinition[]>();
  for (const definition of definitions) {
    byName.set(definition.name, [...(byName.get(definition.name) ?? []), definition]);
  }
  return [...byName.values()]
    .filter((same) => same.length > 1)
    .map((same) => {
      const places = same.map((definition) => definition.where).join(' and ');
      return `step name "${same[0]?.name}" is used ${same.length} times, by ${places}; names are unique in a flow.`;
    });
}

function unknownPredecessors(definitions: readonly StepDefinition[]): string[] {
  const names = new Set(definitions.map((definition) => definition.name));
  return definitions.flatMap((definition) => {
    const others = [...names].filter((name) => name !== definition.name);
    return definition.options.after
      .filter((name) => !names.has(name))
      .map(
        (name) =>
          `${label(definition)}: comes after "${name}", which the flow does not have.${didYouMean(name, others)}`,
      );
  });
}

/** The cycles, each once, in the direction of the messages; found when a walk against it meets its own path again. */
function findCycles(definitions: readonly StepDefinition[]): StepDefinition[][] {
  const byName = new Map(definitions.map((definition) => [definition.name, definition]));
  const finished = new Set<StepDefinition>();
  const cycles: StepDefinition[][] = [];

  const visit = (step: StepDefinition, path: readonly StepDefinition[]): void => {
    const start = path.indexOf(step);
    if (start >= 0) {
      const [first = step, ...rest] = path.slice(start);
      cycles.push([first, ...rest.reverse()]);
    } else if (!finished.has(step)) {
      for (const name of step.options.after) {
        const before = byName.get(name);
        if (before !== undefined) visit(before, [...path, step]);
      }
      finished.add(step);
    }
  };
  for (const definition of definitions) visit(definition, []);
  return cycles;
}

function describeCycle(cycle: readonly StepDefinition[]): string {
  const circle = [...cycle, ...cycle.slice(0, 1)].map((step) => step.name).join(' -> ');
  return `steps follow each other in a circle: ${circle} (${cycle.map((step) => step.where).join(', ')}).`;
}

/** Steps that are cut off by a problem elsewhere; those that have the problem themselves are told already. */
function unreachable(definitions: readonly StepDefinition[], cycles: readonly StepDefinition[][]): string[] {
  const names = new Set(definitions.map((definition) => definition.name));
  const reached = new Set(definitions.filter(isEntry).map((entry) => entry.name));
  let before: number;
  do {
    before = reached.size;
    for (const { name, options } of definitions) {
      if (options.after.some((predecessor) => reached.has(predecessor))) reached.add(name);
    }
  } while (reached.size > before);
  const told = new Set([
    ...cycles.flat(),
    ...definitions.filter((definition) => definition.options.after.some((name) => !names.has(name))),
  ]);
  const cutOff = definitions.filter((definition) => !reached.has(definition.name) && !told.has(definition));
  if (cutOff.length === 0) return [];
  return [`no entry leads to ${cutOff.map(label).join(', ')}; nothing would ever run there.`];
}

function ambiguousStart(definitions: readonly StepDefinition[]): string[] {
  const candidates = startCandidates(definitions);
  if (candidates.length <= 1) return [];
  const places = candidates.map((definition) => `"${definition.name}" (${definition.where})`).join(' and ');
  return [`started runs could begin at ${places}; leave one without "after" and "subject".`];
}

function misusedOtherwise(definitions: readonly StepDefinition[]): string[] {
  const problems: string[] = [];
  const predecessors = new Set(definitions.flatMap((definition) => definition.options.after));
  for (const predecessor of predecessors) {
    const siblings = definitions.filter((definition) => definition.options.after.includes(predecessor));
    const takers = siblings.filter((definition) => definition.options.otherwise);
    const hasWhen = siblings.some((definition) => definition.options.when !== undefined);
    for (const taker of hasWhen ? [] : takers) {
      problems.push(
        `${label(taker)}: "otherwise" takes what no "when" holds for, but no step after "${predecessor}" has a "when".`,
      );
    }
    if (takers.length > 1) {
      const places = takers.map((taker) => `"${taker.name}" (${taker.where})`).join(' and ');
      problems.push(`"otherwise" after "${predecessor}" is claimed by ${places}; only one step can take the rest.`);
    }
  }
  return problems;
}
