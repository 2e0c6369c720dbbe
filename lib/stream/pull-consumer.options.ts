import type { FlowError } from '../common/errors.js';
import type { Delivery } from './delivery.js';

/** What `PullConsumer` needs to know. */
export interface PullConsumerOptions {
  readonly stream: string;
  /** Name of a durable pull consumer of `stream`. */
  readonly consumer: string;
  /** Upper bound of deliveries handed to `onMessage` and not released; at least 1. */
  readonly maxInFlight: number;
  /** How long one pull request stands before it is renewed, in milliseconds; at least 1000. @default 30000 */
  readonly expiresMs?: number;
  /** Called for one delivery after the other, in the server's order. Must settle it and call `release`, now or later. */
  onMessage(delivery: Delivery): void;
  /** Called for what goes wrong while consuming, once until it changes; the consumer goes on by itself. */
  onError(error: FlowError): void;
  /** Makes the consumer (and the stream) anew when it is gone. Without it the consumer reports that and keeps looking. */
  readonly recreate?: () => Promise<void>;
}
