import type { Route, StepNode } from './step-node.js';

/**
 * Where a result of `node` goes, in the order of declaration: every unconditional route, and of the conditional
 * ones the first whose `when` holds, or else the one marked `otherwise`. Empty when nobody takes it.
 *
 * @throws whatever a predicate throws; it counts as the step's own error.
 */
export function selectRoutes(node: StepNode, value: unknown): readonly Route[] {
  if (node.routes.every(isUnconditional)) return node.routes;
  const chosen =
    node.routes.find((route) => route.when !== undefined && route.when(value)) ??
    node.routes.find((route) => route.otherwise);
  return node.routes.filter((route) => route === chosen || isUnconditional(route));
}

function isUnconditional(route: Route): boolean {
  return route.when === undefined && !route.otherwise;
}
