import type { ConsumerConfig, StreamConfig } from '@nats-io/jetstream';
import type { Log } from '../common/log.js';
import type { StreamConnection } from './stream-connection.js';

export type ProvisionMode = 'auto' | 'verify' | 'off';

export interface ConsumerSummary {
  readonly name: string;
  readonly filters: readonly string[];
  readonly pending: number;
  readonly ackPending: number;
}

export async function provisionStream(
  connection: StreamConnection,
  config: Partial<StreamConfig> & { readonly name: string },
  mode: ProvisionMode,
  log: Log,
): Promise<void> {
  void [connection, config, mode, log];
}

export async function provisionConsumer(
  connection: StreamConnection,
  stream: string,
  config: Partial<ConsumerConfig> & { readonly durable_name: string },
  mode: ProvisionMode,
  log: Log,
): Promise<void> {
  void [connection, stream, config, mode, log];
}

export async function listConsumers(connection: StreamConnection, stream: string): Promise<ConsumerSummary[]> {
  void [connection, stream];
  return [];
}

export async function findStreamBySubject(connection: StreamConnection, subject: string): Promise<string | undefined> {
  void [connection, subject];
  return undefined;
}
