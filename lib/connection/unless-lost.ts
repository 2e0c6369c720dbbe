import { ConnectionError } from '../common/errors.js';
import type { ConnectionStatus } from './connection-monitor.js';

/** What is asked over which connection. */
export interface Losable {
  readonly status: ConnectionStatus;
  /** Calls `listener` at every change of `status`, until the returned function is called. */
  onStatus(listener: (status: ConnectionStatus) => void): () => void;
}

/**
 * The outcome of a request, or a `ConnectionError` as soon as the connection is lost: the client loses what it sends
 * without a connection, and the answer to what it sent before, and would wait for it until the request's timeout.
 * Without a connection nothing is asked.
 *
 * @param what for the error: `read "SFO"`
 */
export function unlessLost<T>(connection: Losable, what: string, ask: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const lost = (): void => {
      stopListening();
      reject(new ConnectionError(`The connection was lost before the answer to: ${what}.`));
    };
    const stopListening = connection.onStatus(lost);
    if (connection.status !== 'connected') {
      lost();
      return;
    }
    let asked: Promise<T>;
    try {
      asked = ask();
    } catch (error) {
      stopListening();
      throw error;
    }
    asked.then(stopListening, stopListening);
    // What an abandoned request comes to, at its timeout, is told to nobody.
    asked.then(resolve, reject);
  });
}

/** Resolves when the connection stands again, or is closed for good, or after `timeoutMs`; at once when it is not lost. */
export function connectedAgain(connection: Losable, timeoutMs: number): Promise<void> {
  if (connection.status !== 'disconnected') return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stopListening();
      resolve();
    };
    const stopListening = connection.onStatus(end);
    const timer = setTimeout(end, timeoutMs);
  });
}
