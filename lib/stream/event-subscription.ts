import { ConnectionError, type FlowError, type FlowErrorOptions } from '../common/errors.js';
import type { StreamConnection } from './stream-connection.js';

/** What comes over a plain subscription, and what may have been missed. */
export interface EventSubscriptionOptions {
  readonly subject: string;
  /** One message, in the order of arrival, and its sequence when a stream repeated it (else 0). */
  onEvent(data: Uint8Array, sequence: number): void;
  /**
   * The server knows of the subscription: for the first time, or again after a lost connection. What was published
   * before is gone, so look at the truth; what is published from now on arrives.
   */
  onListening(): void;
  /** The server does not let us listen, or the connection is closed for good: nothing more arrives. */
  onError(error: FlowError): void;
}

/**
 * A plain NATS subscription: no storage, no consumer, nothing left on the server. Events are lost while the
 * connection is down, which {@link EventSubscriptionOptions.onListening} tells when it is back. May be opened
 * while there is no connection.
 */
export class EventSubscription {
  private constructor(private readonly close: () => void) {}

  /**
   * Subscribes; the listener is told when the server knows of it.
   *
   * @throws ConnectionError when the connection is closed or closing.
   */
  static open(connection: StreamConnection, options: EventSubscriptionOptions): EventSubscription {
    let stopped = false;
    const unsubscribe = subscribe(connection, options);
    const closed = (reason: FlowErrorOptions = {}): void =>
      options.onError(
        new ConnectionError(`The connection is closed; nothing more arrives on "${options.subject}".`, reason),
      );
    const stopListening = connection.onStatus((status) => {
      // The client has subscribed anew before it says that it is connected.
      if (status === 'connected') options.onListening();
      else if (status === 'closed') closed();
    });
    connection.nats.flush().then(
      () => {
        if (!stopped) options.onListening();
      },
      (error: unknown) => {
        // Lost before the server had read our subscription, and it comes back: then its status tells.
        if (!stopped && connection.nats.isClosed()) closed({ cause: error });
      },
    );
    return new EventSubscription(() => {
      stopped = true;
      stopListening();
      unsubscribe();
    });
  }

  /** Ends the subscription; nothing arrives afterwards. */
  stop(): void {
    this.close();
  }
}

/** @returns a function that ends the subscription. */
function subscribe(connection: StreamConnection, options: EventSubscriptionOptions): () => void {
  const { subject } = options;
  if (connection.status === 'closed')
    throw new ConnectionError(`Subscribing to "${subject}": the connection is closed.`);
  try {
    const subscription = connection.nats.subscribe(subject, {
      callback: (error, message) => {
        if (error) {
          options.onError(new ConnectionError(`The subscription of "${subject}" failed`, { cause: error }));
        } else {
          options.onEvent(message.data, Number(message.headers?.get('Nats-Sequence') ?? 0));
        }
      },
    });
    return () => subscription.unsubscribe();
  } catch (error) {
    throw new ConnectionError(`Could not subscribe to "${subject}"`, { cause: error });
  }
}
