import type { StepDefinition } from './step-definition.js';

/** Whether runs begin at this step. */
export function isEntry(definition: StepDefinition): boolean {
  return definition.options.after.length === 0;
}

/** The entries that could accept started runs; in a valid flow at most one. */
export function startCandidates(definitions: readonly StepDefinition[]): StepDefinition[] {
  const entries = definitions.filter(isEntry);
  return entries.length === 1 ? entries : entries.filter((entry) => entry.options.subjects.length === 0);
}

/**
 * Where a started run begins: at the only entry, even if external messages come there too; among several, at the one
 * that listens to no external subject. `undefined` when runs begin with external messages only.
 */
export function findStartStep(definitions: readonly StepDefinition[]): StepDefinition | undefined {
  return startCandidates(definitions)[0];
}
