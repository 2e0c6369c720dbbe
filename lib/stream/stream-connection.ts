import type { FlowConnection } from '../connection/flow-connection.js';

/** What this room needs of a connection. */
export type StreamConnection = Pick<
  FlowConnection,
  'nats' | 'manager' | 'capabilities' | 'status' | 'onStatus' | 'apiPrefix' | 'inboxPrefix' | 'requestTimeoutMs'
>;
