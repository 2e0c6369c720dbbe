import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ResolvedServerOptions } from './embedded-nats-server.options.js';
import { EmbeddedServerError } from './embedded-server.error.js';
import { probeServer, type ServerGreeting } from './probe-server.js';
import { ServerProcess } from './server-process.js';

/** The address own servers listen on. */
export const HOST = '127.0.0.1';
const POLL_MS = 10;
const STOP_GRACE_MS = 10_000;

/** A server of our own: a private directory, and one process after the other over the same store. */
export class OwnServer {
  readonly storeDir: string;
  #process: ServerProcess | undefined;
  #disposed: Promise<void> | undefined;

  constructor(
    private readonly binary: string,
    private readonly directory: string,
    private readonly options: ResolvedServerOptions,
  ) {
    this.storeDir = options.storeDir ?? join(directory, 'store');
  }

  get pid(): number | undefined {
    return this.#process?.ending === undefined ? this.#process?.pid : undefined;
  }

  logTail(lines: number): string {
    return this.#disposed === undefined ? (this.#process?.logTail(lines) ?? '') : '';
  }

  async launch(port: number | undefined): Promise<{ port: number; greeting: ServerGreeting }> {
    if (this.#disposed !== undefined) {
      throw new EmbeddedServerError('The server was stopped, its directory is gone. Start a new one.');
    }
    const server = new ServerProcess({
      binary: this.binary,
      directory: this.directory,
      args: [
        ...['-a', HOST, '-p', String(port ?? -1), '--ports_file_dir', this.directory],
        ...(this.options.jetstream ? ['-js', '-sd', this.storeDir] : []),
        ...this.options.args,
      ],
    });
    this.#process = server;
    const deadline = Date.now() + this.options.startTimeout;
    let last: unknown;
    while (server.ending === undefined && Date.now() < deadline) {
      try {
        const listening = await this.#listeningPort(server);
        return { port: listening, greeting: await probeServer(HOST, listening, Math.max(1, deadline - Date.now())) };
      } catch (error) {
        last = error; // not ready yet: named below when it stays so
        await delay(POLL_MS);
      }
    }
    const why = server.ending ?? `did not answer within ${this.options.startTimeout} ms`;
    await server.end('SIGKILL', 0);
    throw new EmbeddedServerError(`${this.binary} ${why}. Its last log lines:\n${server.logTail()}`, { cause: last });
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    await this.#process?.end(signal, STOP_GRACE_MS);
  }

  dispose(): Promise<void> {
    this.#disposed ??= this.end('SIGTERM').then(() => rm(this.directory, { recursive: true, force: true }));
    return this.#disposed;
  }

  /**
   * The port this process listens on, by the file it writes then. Asking the system for a free port first would
   * be a race, and whoever answers at a given port may be another server.
   */
  async #listeningPort(server: ServerProcess): Promise<number> {
    const file = join(this.directory, `${basename(this.binary)}_${server.pid}.ports`);
    const ports = JSON.parse(await readFile(file, 'utf8')) as { nats?: string[] };
    const [url] = ports.nats ?? [];
    if (url === undefined) throw new Error(`${file} names no client port`);
    return Number(new URL(url).port);
  }
}
