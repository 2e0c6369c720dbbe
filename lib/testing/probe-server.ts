import { connect } from 'node:net';
import { z } from 'zod';

/** What a server says about itself when a client connects, as far as the embedded server needs it. */
export interface ServerGreeting {
  readonly version: string;
  readonly jetstream: boolean;
}

const greetingSchema = z.object({ version: z.string(), jetstream: z.boolean().default(false) });

/**
 * Connects to a NATS server and reads its greeting. A server greets before it asks for credentials or
 * TLS, so this works with any configuration but `handshake_first`.
 *
 * @param timeoutMs Time for connecting and greeting together.
 * @throws Error when nobody listens, or what listens does not greet as NATS in time.
 */
export async function probeServer(host: string, port: number, timeoutMs: number): Promise<ServerGreeting> {
  const line = await firstLine(host, port, timeoutMs);
  if (!line.startsWith('INFO ')) throw new Error(`${host}:${port} is no NATS server: it says "${line.slice(0, 80)}"`);
  return greetingSchema.parse(JSON.parse(line.slice('INFO '.length)));
}

function firstLine(host: string, port: number, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect({ host, port });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setEncoding('utf8');
    socket.setTimeout(timeoutMs, () => fail(new Error(`${host}:${port} did not answer within ${timeoutMs} ms`)));
    socket.on('error', fail);
    socket.on('end', () => fail(new Error(`${host}:${port} closed the connection without a greeting`)));
    socket.on('data', (text: string) => {
      received += text;
      const end = received.indexOf('\r\n');
      if (end < 0) return;
      socket.destroy();
      resolve(received.slice(0, end));
    });
  });
}
