import type { JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Publisher } from '../../connection/publisher.js';
import type { ServerCapabilities } from '../../connection/server-capabilities.js';

/** What the store needs of a connection; `FlowConnection` is one. */
export interface StoreConnection {
  readonly nats: NatsConnection;
  readonly manager: JetStreamManager;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly capabilities: ServerCapabilities;
  readonly status: 'connected' | 'disconnected' | 'closed';
  /** How long the client waits for the answer to a request. */
  readonly requestTimeoutMs: number;
  /** First tokens of JetStream's API subjects, without a dot at the end. */
  readonly apiPrefix: string;
  /** First token of reply subjects. */
  readonly inboxPrefix: string;
  /** Calls `listener` at every change of `status`, until the returned function is called. */
  onStatus(listener: (status: 'connected' | 'disconnected' | 'closed') => void): () => void;
}
