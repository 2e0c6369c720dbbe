import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validateOptions } from '../common/validate-options.js';
import {
  embeddedNatsServerOptionsSchema,
  type EmbeddedNatsServerOptions,
  type ResolvedServerOptions,
} from './embedded-nats-server.options.js';
import { EmbeddedServerError } from './embedded-server.error.js';
import { HOST, OwnServer } from './own-server.js';
import { probeServer, type ServerGreeting } from './probe-server.js';
import { resolveServerBinary } from './resolve-server-binary.js';

/**
 * A private nats-server for tests, samples and development. It is a child process on 127.0.0.1 with a free
 * port and a store directory of its own; several run side by side. It ends with the process that started
 * it, however that ends.
 *
 * When `NATS_URL` is set there is no child process: the server at that address is used, with a process warning
 * (`FLOW_NATS_URL`), since an application may have set the variable for itself. `stop` leaves it running, and `kill` and
 * `restart` are refused.
 *
 * @example
 * ```ts
 * await using server = await EmbeddedNatsServer.start();
 * const app = await Test.createTestingModule({ imports: [FlowModule.forRoot({ servers: server.url })] }).compile();
 * ```
 */
export class EmbeddedNatsServer implements AsyncDisposable {
  /** Address to connect to, for example `nats://127.0.0.1:40123`. The same after a restart. */
  readonly url: string;
  /** TCP port. The same after a restart. */
  readonly port: number;
  /** The server's version, for example `2.15.2`. */
  readonly version: string;
  /** Directory of the JetStream store; undefined for a server of `NATS_URL`. */
  readonly storeDir: string | undefined;
  readonly #own: OwnServer | undefined;

  private constructor(url: string, port: number, version: string, own: OwnServer | undefined) {
    this.url = url;
    this.port = port;
    this.version = version;
    this.storeDir = own?.storeDir;
    this.#own = own;
  }

  /**
   * Starts a server and resolves when it takes connections and, with JetStream, its store is recovered.
   *
   * @throws ConfigurationError for options that are not valid.
   * @throws EmbeddedServerError when no binary can be found or obtained, or the server does not come up;
   * the message ends with the server's last log lines.
   */
  static async start(options: EmbeddedNatsServerOptions = {}): Promise<EmbeddedNatsServer> {
    const resolved = validateOptions('EmbeddedNatsServer', embeddedNatsServerOptionsSchema, options);
    const external = process.env.NATS_URL;
    if (external !== undefined && external !== '') return EmbeddedNatsServer.#useExternal(external, resolved);

    const binary = await resolveServerBinary({ version: resolved.version });
    const directory = await mkdtemp(join(tmpdir(), 'flow-nats-'));
    const own = new OwnServer(binary.path, directory, resolved);
    try {
      const { port, greeting } = await own.launch(resolved.port);
      return new EmbeddedNatsServer(`nats://${HOST}:${port}`, port, greeting.version, own);
    } catch (error) {
      await own.dispose();
      throw error;
    }
  }

  /** Process id of the server; undefined when it does not run, and for a server of `NATS_URL`. */
  get pid(): number | undefined {
    return this.#own?.pid;
  }

  /** The last lines that the server logged; empty for a server of `NATS_URL`. */
  logTail(lines = 20): string {
    return this.#own?.logTail(lines) ?? '';
  }

  /**
   * Ends the server in an orderly way and removes what it made, the store too unless `storeDir` was given.
   * Idempotent.
   */
  async stop(): Promise<void> {
    await this.#own?.dispose();
  }

  /** Ends the server with SIGKILL, as a crash would; the store stays. `restart` brings it back. */
  async kill(): Promise<void> {
    await this.#ownServer('kill').end('SIGKILL');
  }

  /** Starts the server again over the same store on the same port; ends it in an orderly way first if it runs. */
  async restart(): Promise<void> {
    const own = this.#ownServer('restart');
    await own.end('SIGTERM');
    await own.launch(this.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #ownServer(what: string): OwnServer {
    if (this.#own !== undefined) return this.#own;
    throw new EmbeddedServerError(
      `Cannot ${what} the server at ${this.url}: it is the one of NATS_URL and not ours. Unset NATS_URL to use a private server.`,
    );
  }

  static async #useExternal(url: string, options: ResolvedServerOptions): Promise<EmbeddedNatsServer> {
    const asked = [
      options.storeDir === undefined ? [] : ['storeDir'],
      options.port === undefined ? [] : ['port'],
      options.args.length === 0 ? [] : ['args'],
    ].flat();
    const advice = 'Unset NATS_URL to use a private server.';
    if (asked.length > 0) {
      throw new EmbeddedServerError(`The server of NATS_URL (${url}) cannot be given ${asked.join(', ')}. ${advice}`);
    }
    const { hostname, port: portText } = new URL(url);
    const port = portText === '' ? 4222 : Number(portText);
    let greeting: ServerGreeting;
    try {
      greeting = await probeServer(hostname, port, options.startTimeout);
    } catch (error) {
      throw new EmbeddedServerError(`The server of NATS_URL (${url}) does not answer. ${advice}`, { cause: error });
    }
    if (options.jetstream && !greeting.jetstream) {
      throw new EmbeddedServerError(`The server of NATS_URL (${url}) has no JetStream. ${advice}`);
    }
    if (options.version !== undefined && !`${greeting.version}.`.startsWith(`${options.version}.`)) {
      throw new EmbeddedServerError(
        `The server of NATS_URL (${url}) is ${greeting.version}, not ${options.version}. ${advice}`,
      );
    }
    process.emitWarning(
      `NATS_URL is set: EmbeddedNatsServer uses the running server at ${hostname}:${port}, and whatever is done on it stays there.`,
      { code: 'FLOW_NATS_URL', detail: advice },
    );
    return new EmbeddedNatsServer(url, port, greeting.version, undefined);
  }
}
