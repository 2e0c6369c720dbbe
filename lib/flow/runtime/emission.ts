import type { Route, StepNode } from '../graph/step-node.js';

/** A message to send on: to which step, and where in the run it stands. */
export interface Target {
  readonly step: string;
  readonly index: string;
}

/**
 * Where a message goes along one route. A step with several predecessors gets one message from each, so the
 * sender's name joins the index and keeps the two apart; everywhere else the index is handed on.
 */
export function targetOf(node: StepNode, route: Route, index: string): Target {
  if (!route.target.merges) return { step: route.target.name, index };
  return { step: route.target.name, index: index === '' ? node.name : `${index}.${node.name}` };
}

/** How the outcome of a step is fixed so that repetitions agree on it. */
export type StepShape = 'end' | 'single' | 'several';

/**
 * - `end`: nothing follows; the run record is all there is to write.
 * - `single`: one successor gets every result; its message is the record of the decision.
 * - `several`: a split or a broadcast; the decision is stored first.
 */
export function shapeOf(node: StepNode): StepShape {
  const [first, second] = node.routes;
  if (first === undefined) return 'end';
  return second === undefined && first.when === undefined && !first.otherwise ? 'single' : 'several';
}
