import { ConnectionError, type FlowError } from '../common/errors.js';
import type { StreamConnection } from './stream-connection.js';

/** What comes over a plain subscription, and what may have been missed. */
export interface EventSubscriptionOptions {
  readonly subject: string;
  /** One message, in the order of arrival, and its sequence when a stream repeated it (else 0). */
  onEvent(data: Uint8Array, sequence: number): void;
  /** The connection was lost and is back: events in between are gone, so look at the truth. */
  onGap(): void;
  onError(error: FlowError): void;
}

/**
 * A plain NATS subscription: no storage, no consumer, nothing left on the server. Events are lost while the
 * connection is down, which {@link EventSubscriptionOptions.onGap} tells when it is back.
 */
export class EventSubscription {
  private constructor(private readonly close: () => void) {}

  /** Resolves when the server knows of the subscription: what is published from then on arrives. */
  static async open(connection: StreamConnection, options: EventSubscriptionOptions): Promise<EventSubscription> {
    const subscription = connection.nats.subscribe(options.subject, {
      callback: (error, message) => {
        if (error) {
          options.onError(new ConnectionError(`The subscription of "${options.subject}" failed`, { cause: error }));
        } else {
          options.onEvent(message.data, Number(message.headers?.get('Nats-Sequence') ?? 0));
        }
      },
    });
    const stopListening = connection.onStatus((status) => {
      if (status === 'connected') options.onGap();
      else if (status === 'closed') {
        options.onError(new ConnectionError(`The connection is closed; nothing more arrives on "${options.subject}".`));
      }
    });
    const close = (): void => {
      stopListening();
      subscription.unsubscribe();
    };
    try {
      await connection.nats.flush();
    } catch (error) {
      close();
      throw new ConnectionError(`Could not subscribe to "${options.subject}"`, { cause: error });
    }
    return new EventSubscription(close);
  }

  /** Ends the subscription; nothing arrives afterwards. */
  stop(): void {
    this.close();
  }
}
