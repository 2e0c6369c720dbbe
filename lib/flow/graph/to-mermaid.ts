import type { StepNode } from './step-node.js';

/** The graph as a Mermaid flowchart: sources as rounded boxes, steps as boxes, conditions on the arrows. */
export function mermaidOf(steps: readonly StepNode[]): string {
  // Step names such as "end" are words of Mermaid's own, so nodes have numbered ids.
  const ids = new Map(steps.map((node, position) => [node, `s${position}`]));
  const lines = steps.flatMap((node) => {
    const id = ids.get(node) ?? '';
    const sources = sourcesOf(node).map((source, position) => `  ${id}_${position}(["${source}"]) --> ${id}`);
    const arrows = node.routes.map((route) => {
      const condition = route.otherwise ? '|otherwise|' : route.when === undefined ? '' : '|when|';
      return `  ${id} -->${condition} ${ids.get(route.target) ?? ''}`;
    });
    return [`  ${id}["${node.name}"]`, ...sources, ...arrows];
  });
  return ['flowchart TD', ...lines].join('\n');
}

function sourcesOf(node: StepNode): string[] {
  const subjects = node.subjects.map((subject) => subject.replaceAll('"', '#quot;').replaceAll('>', '#gt;'));
  return node.acceptsStart ? ['start', ...subjects] : subjects;
}
