import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { z } from 'zod';

/** What a server says about itself when a client connects, as far as the embedded server needs it. */
export interface ServerGreeting {
  readonly version: string;
  readonly jetstream: boolean;
}

const greetingSchema = z.object({ version: z.string(), jetstream: z.boolean().default(false) });
/** A server that has said nothing for so long may wait for TLS. */
const QUIET_MS = 250;

/**
 * Connects to a NATS server and reads its greeting. A server greets before it asks for credentials or TLS, so this works
 * with any configuration; one with `handshake_first` greets inside of TLS, unless it also asks for a client certificate.
 *
 * @param timeoutMs Time for connecting and greeting together.
 * @throws Error when nobody listens, or what listens does not greet as NATS in time.
 */
export async function probeServer(host: string, port: number, timeoutMs: number): Promise<ServerGreeting> {
  const line = await firstLine(host, port, timeoutMs);
  if (!line.startsWith('INFO ')) throw new Error(`${host}:${port} is no NATS server: it says "${line.slice(0, 80)}"`);
  return greetingSchema.parse(JSON.parse(line.slice('INFO '.length)));
}

/** The first line that the server says, to a plain client or inside of TLS. */
async function firstLine(host: string, port: number, timeoutMs: number): Promise<string> {
  const deadline = performance.now() + timeoutMs;
  const plain = connect({ host, port });
  let secure: Socket | undefined;
  const done = new AbortController();
  try {
    const plainLine = lineFrom(plain, `${host}:${port}`, timeoutMs);
    const line = await Promise.race([plainLine, delay(QUIET_MS, undefined, { signal: done.signal })]);
    if (line !== undefined) return line;
    // Whose certificate it is does not matter: only the greeting is read, and nothing is told.
    secure = connectTls({ host, port, rejectUnauthorized: false });
    const secureLine = lineFrom(
      secure,
      `${host}:${port}, asked for TLS,`,
      Math.max(1, Math.ceil(deadline - performance.now())),
    );
    return await Promise.any([plainLine, secureLine]);
  } catch (error) {
    if (!(error instanceof AggregateError)) throw error;
    throw new Error(error.errors.map(({ message }: Error) => message).join('; '), { cause: error });
  } finally {
    done.abort();
    plain.destroy();
    secure?.destroy();
  }
}

function lineFrom(socket: Socket, name: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    socket.setEncoding('utf8');
    socket.setTimeout(timeoutMs, () => reject(new Error(`${name} did not answer within ${timeoutMs} ms`)));
    socket.on('error', reject);
    socket.on('end', () => reject(new Error(`${name} closed the connection without a greeting`)));
    socket.on('data', (text: string) => {
      received += text;
      const end = received.indexOf('\r\n');
      if (end >= 0) resolve(received.slice(0, end));
    });
  });
}
