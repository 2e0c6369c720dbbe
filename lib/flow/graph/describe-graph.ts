import { toText } from '../../common/duration.js';
import { FlowNames } from '../../common/names.js';
import type { FlowContract } from '../contract.js';
import type { Route, StepNode } from './step-node.js';

/**
 * The graph as indented text: the flow and its stream, then a line for each step in the order of declaration, with
 * where its messages come from, what it makes of what, and where that goes.
 */
export function describeGraph(contract: FlowContract, steps: readonly StepNode[]): string {
  const rows = steps.map((node) => [node.name, sourcesOf(node), typesOf(node), targetsOf(node)]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const count = steps.length === 1 ? '1 step' : `${steps.length} steps`;
  const { stream, allSubjects } = new FlowNames(contract.name);
  const kept = `stream ${stream} (${allSubjects}), kept ${toText(contract.retentionMs)}`;
  return [
    `flow ${contract.name}: ${count}, track ${contract.track}, ${kept}`,
    ...lines.map((line) => `  ${line}`),
  ].join('\n');
}

function sourcesOf(node: StepNode): string {
  const sources = [
    ...(node.acceptsStart ? ['start'] : []),
    ...node.subjects.map((subject) => `"${subject}"`),
    ...node.after,
  ];
  return `<- ${sources.join(', ')}`;
}

function typesOf(node: StepNode): string {
  return `${node.inputCodec.typeName} => ${node.outputCodec.typeName}`;
}

function targetsOf(node: StepNode): string {
  return node.routes.length === 0 ? '-> end' : `-> ${node.routes.map(labelOf).join(', ')}`;
}

function labelOf(route: Route): string {
  if (route.otherwise) return `${route.target.name} (otherwise)`;
  return route.when === undefined ? route.target.name : `${route.target.name} (when)`;
}
