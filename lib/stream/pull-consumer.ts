import type { FlowError } from '../common/errors.js';
import type { Delivery } from './delivery.js';
import type { StreamConnection } from './stream-connection.js';

export interface PullConsumerOptions {
  readonly stream: string;
  readonly consumer: string;
  readonly maxInFlight: number;
  readonly expiresMs?: number;
  onMessage(delivery: Delivery): void;
  onError(error: FlowError): void;
  readonly recreate?: () => Promise<void>;
}

export class PullConsumer {
  constructor(connection: StreamConnection, options: PullConsumerOptions) {
    void connection;
    void options;
  }
  get outstanding(): number {
    return 0;
  }
  start(): Promise<void> {
    return Promise.reject(new Error('not yet'));
  }
  release(): void {}
  pause(): void {}
  resume(): void {}
  stop(): Promise<void> {
    return Promise.resolve();
  }
}
