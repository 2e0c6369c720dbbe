import type { FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { ApiCode, isApiError } from '../../stream/jetstream-api.js';
import { listConsumers, type ConsumerSummary } from '../../stream/provision.js';
import type { StepSource } from './step-worker.js';

/** What a consumer is for, as people see it in the server's tools and {@link reportForgotten} finds it again. */
export function consumerDescription(flow: string, step: string): string {
  return `Step "${step}" of flow "${flow}"`;
}

/** Says which consumers belong to steps that were renamed or removed, and what waits there. */
export async function reportForgotten(
  connection: FlowConnection,
  names: FlowNames,
  sources: readonly StepSource[],
  log: Log,
): Promise<void> {
  const known = new Set(sources.map(({ stream, consumer }) => `${stream} ${consumer}`));
  // The ingest stream may hold nothing but consumers of steps that are gone.
  const streams = new Set([names.stream, names.ingestStream, ...sources.map(({ stream }) => stream)]);
  const ours = new RegExp(`^${consumerDescription(names.flow, '(.+)')}$`);
  for (const stream of streams) {
    for (const { name, description, pending, ackPending } of await consumersOf(connection, stream)) {
      const step = ours.exec(description ?? '')?.[1];
      if (step === undefined || known.has(`${stream} ${name}`)) continue;
      log.warn(
        `Stream "${stream}" has the consumer "${name}" of a step "${step}" that this application does not know, with ` +
          `${pending} messages waiting and ${ackPending} in hand. If it is gone for good, delete the consumer.`,
      );
    }
  }
}

async function consumersOf(connection: FlowConnection, stream: string): Promise<ConsumerSummary[]> {
  try {
    return await listConsumers(connection, stream);
  } catch (error) {
    if (isApiError(error, ApiCode.streamNotFound)) return [];
    throw error;
  }
}
