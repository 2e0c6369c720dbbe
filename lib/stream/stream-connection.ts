import type { NatsConnection } from '@nats-io/transport-node';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { ServerCapabilities } from '../connection/server-capabilities.js';

/** What this room needs of a connection; `FlowConnection` is one. */
export interface StreamConnection {
  readonly nats: NatsConnection;
  readonly manager: JetStreamManager;
  readonly capabilities: ServerCapabilities;
  readonly status: ConnectionStatus;
  /** Calls `listener` at every change of `status`, until the returned function is called. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void;
}

/** `disconnected` heals by itself, `closed` does not. */
export type ConnectionStatus = 'connected' | 'disconnected' | 'closed';
