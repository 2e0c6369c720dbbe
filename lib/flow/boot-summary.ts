import type { FlowConnection } from '../connection/flow-connection.js';
import type { ResolvedFlowRuntimeOptions } from './flow-runtime.options.js';
import type { FlowGraph } from './graph/flow-graph.js';

const DURABILITY: Readonly<Record<ResolvedFlowRuntimeOptions['durability'], string>> = {
  memory: 'Storage: memory. A restart of the server loses everything.',
  file: 'Storage: file, 1 copy. Survives a crash of the server; power loss can cost what its sync_interval (2 minutes unless set) has not written yet.',
  replicated:
    'Storage: file, replicated. Survives the loss of a server; power loss of a majority at once can cost what their sync_interval has not written yet.',
};

/** What the log says once everything runs: the server, what survives, and each flow's steps. */
export function describeBoot(
  graphs: readonly FlowGraph[],
  connection: FlowConnection,
  options: ResolvedFlowRuntimeOptions,
): string[] {
  const head = `Connected as "${connection.name}" to ${connection.nats.getServer()}: ${connection.capabilities.describe()}.`;
  if (!options.consume) return [head, 'This process starts flows and runs no steps (consume: false).'];
  return [head, DURABILITY[options.durability], ...graphs.map((graph) => graph.describe())];
}
