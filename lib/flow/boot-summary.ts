import type { ServerCapabilities } from '../connection/server-capabilities.js';
import { FlowNames } from '../common/names.js';
import { replicasOf, type ResolvedFlowRuntimeOptions } from './flow-runtime.options.js';
import type { FlowGraph } from './graph/flow-graph.js';

/** What the summary tells of the connection. `FlowConnection` is one as it stands. */
export interface DescribedConnection {
  readonly name: string;
  readonly nats: { getServer(): string };
  readonly capabilities: ServerCapabilities;
}

/** What the summary tells of a flow that runs here. `FlowRuntime` is one as it stands. */
export interface DescribedFlow {
  readonly graph: FlowGraph;
  /** The durable consumers that feed its steps. */
  readonly sources: readonly { readonly stream: string; readonly consumer: string }[];
}

/**
 * What the log says once everything runs: the server and what it lacks, what survives which accident, and each flow
 * with its stream, subjects, steps and consumers.
 */
export function describeBoot(
  connection: DescribedConnection,
  options: ResolvedFlowRuntimeOptions,
  flows: readonly DescribedFlow[],
): string {
  const { name, nats, capabilities } = connection;
  const server = `Connection "${name}" at ${nats.getServer()}: ${capabilities.describe()}.`;
  if (!options.consume) return `${server}\nThis process starts flows and runs no steps (consume: false).`;
  if (flows.length === 0)
    return `${server}\nThis application has no flow steps on this connection; it can start flows.`;
  return [server, describeStorage(options), ...flows.map(describeFlow)].join('\n');
}

function describeStorage(options: ResolvedFlowRuntimeOptions): string {
  switch (options.durability) {
    case undefined:
      return (
        'Storage: as the streams have it; new ones get file, 1 copy. Power loss can cost what the server has not ' +
        'written yet (sync_interval, 2 minutes unless set).'
      );
    case 'memory':
      return 'Storage: memory. A restart of the server loses everything.';
    case 'file':
      return (
        'Storage: file, 1 copy. Survives a crash of the server; power loss can cost what its sync_interval ' +
        '(2 minutes unless set) has not written yet.'
      );
    case 'replicated':
      return (
        `Storage: file, ${replicasOf(options)} copies. Survives the loss of a server; power loss of a majority at ` +
        'once can cost what their sync_interval (2 minutes unless set) has not written yet.'
      );
  }
}

function describeFlow({ graph, sources }: DescribedFlow): string {
  const { stream } = new FlowNames(graph.contract.name);
  const own = sources.filter((source) => source.stream === stream).map(({ consumer }) => consumer);
  const foreign = sources
    .filter((source) => source.stream !== stream)
    .map((source) => `${source.consumer} (on ${source.stream})`);
  return `${graph.describe()}\n  consumers: ${[...own, ...foreign].join(', ')}`;
}
