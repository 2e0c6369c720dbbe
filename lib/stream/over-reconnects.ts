import { ConnectionError } from '../common/errors.js';
import type { StreamConnection } from './stream-connection.js';

/**
 * Runs a request that does no harm twice, through lost connections: what is sent while there is none, and the answer
 * to what was sent before, the client loses, and would wait for until its timeout. So this waits for the connection
 * and asks again.
 *
 * @throws ConnectionError when the connection does not come back within its request timeout, or is closed.
 */
export async function overReconnects<T>(
  connection: StreamConnection,
  what: string,
  call: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + connection.requestTimeoutMs;
  for (;;) {
    if (connection.status === 'disconnected') await backAgain(connection, what, deadline - performance.now());
    const answer = await unlessLost(connection, call());
    if (answer !== undefined) return answer.value;
  }
}

/** The answer, or `undefined` when the connection is lost first. */
function unlessLost<T>(connection: StreamConnection, asked: Promise<T>): Promise<{ readonly value: T } | undefined> {
  return new Promise((resolve, reject) => {
    const stopListening = connection.onStatus((status) => {
      if (status !== 'disconnected') return;
      stopListening();
      resolve(undefined);
    });
    // What the abandoned request comes to, at its timeout, is told to nobody.
    asked.then((value) => resolve({ value }), reject).finally(stopListening);
  });
}

function backAgain(connection: StreamConnection, what: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      stopListening();
      settle();
    };
    const stopListening = connection.onStatus(() => end(resolve));
    const timer = setTimeout(
      () => end(() => reject(new ConnectionError(`Cannot ${what}: the connection is lost, and not back in time.`))),
      timeoutMs,
    );
  });
}
