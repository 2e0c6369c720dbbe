import { FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { provisionConsumer, type ProvisionMode } from '../../stream/provision.js';
import type { FlowContract } from '../contract.js';
import type { StepNode } from '../graph/step-node.js';
import { consumerDescription } from './forgotten-consumers.js';
import type { MessageSource } from './step-message.js';
import type { StepSource } from './step-worker.js';

const NANOS_PER_MS = 1_000_000;

/** Creates and checks the durable consumers of steps: one per step and source, shared by all instances. */
export class StepSources {
  constructor(
    private readonly connection: FlowConnection,
    private readonly mode: ProvisionMode,
    private readonly log: Log,
  ) {}

  /**
   * What a step is fed from: the messages of the steps before it or its redriven ones, the starts of clients,
   * and external subjects.
   *
   * @param ingest the streams of the flow's external subjects
   */
  async provision(contract: FlowContract, node: StepNode, ingest: ReadonlyMap<string, string>): Promise<StepSource[]> {
    const names = new FlowNames(contract.name);
    const { stream } = names;
    const source = (kind: MessageSource, of: string, consumer: string, filter: string): StepSource =>
      this.source(
        kind,
        { stream: of, consumer, filter, description: consumerDescription(contract.name, node.name) },
        node,
      );
    const sources = [source('step', stream, names.stepConsumer(node.name), names.stepFilter(node.name))];
    if (node.acceptsStart) sources.push(source('start', stream, names.startConsumer, names.startFilter));
    for (const subject of node.subjects) {
      const ingestStream = ingest.get(subject) ?? names.ingestStream;
      sources.push(source('ingest', ingestStream, names.ingestConsumer(node.name, subject), subject));
    }
    await Promise.all(sources.map(async ({ recreate }) => recreate?.()));
    return sources;
  }

  private source(
    kind: MessageSource,
    {
      stream,
      consumer,
      filter,
      description,
    }: Readonly<Record<'stream' | 'consumer' | 'filter' | 'description', string>>,
    node: StepNode,
  ): StepSource {
    const config = {
      durable_name: consumer,
      // For people: not worth refusing a consumer that was made by hand.
      ...(this.mode === 'auto' && { description }),
      filter_subject: filter,
      ack_policy: 'explicit',
      // Messages of the flow itself are never passed over.
      deliver_policy: kind === 'ingest' ? node.deliver : 'all',
      replay_policy: 'instant',
      ack_wait: node.ackWaitMs * NANOS_PER_MS,
      // The library counts attempts itself and dead-letters before it gives up; the server must never.
      max_deliver: -1,
      max_ack_pending: -1,
    } as const;
    return {
      kind,
      stream,
      consumer,
      ...(this.mode !== 'off' && {
        recreate: () => provisionConsumer(this.connection, stream, config, this.mode, this.log),
      }),
    };
  }
}
