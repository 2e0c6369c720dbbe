import { setTimeout as pause } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { CancelledError, ConnectionError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { authenticationOptions } from './authentication.js';
import { describeFailure, isDefinite } from './connect-failure.js';
import type { ResolvedConnectionOptions } from './connection.options.js';

/** How often a wait at boot says that it still waits. */
const SAY_EVERY_MS = 15_000;
/** JetStream of a cluster that has just started takes a moment; it is asked this often. */
const JETSTREAM_ASK_MS = 250;
/** JetStream's "not enabled for this account" and "not enabled on this server". */
const NO_JETSTREAM: ReadonlySet<number> = new Set([10039, 10076]);

/** A failure that waiting can mend. */
class NotYet extends Error {
  override readonly name = 'NotYet';
}

/**
 * Opens the connection, or takes the application's own, and waits until JetStream answers on it.
 *
 * @throws ConnectionError see `FlowConnection.connect`.
 */
export async function openConnection(options: ResolvedConnectionOptions, log: Log, signal?: AbortSignal): Promise<NatsConnection> {
  const patience = new Patience(options, log, signal);
  const nats = options.connection ?? (await patience.until(() => dial(options, log), options.reconnectWait));
  if (options.connection === undefined) {
    log.log(`Connected to NATS at ${nats.getServer()} (nats-server ${nats.info?.version ?? 'of unknown version'}) as "${options.name}".`);
  }
  try {
    await patience.until(() => askJetStream(nats, options), JETSTREAM_ASK_MS, options.connectTimeout);
  } catch (error) {
    if (options.connection === undefined) await nats.close();
    throw error;
  }
  return nats;
}

/** One attempt to connect, to each of the servers once. */
async function dial(options: ResolvedConnectionOptions, log: Log): Promise<NatsConnection> {
  try {
    return await connect({
      ...authenticationOptions(options, log),
      servers: options.servers.map((server) => server.address),
      name: options.name,
      timeout: options.connectTimeout,
      pingInterval: options.pingInterval,
      maxReconnectAttempts: options.maxReconnectAttempts,
      reconnectDelayHandler: () => options.reconnectWait * (1 + Math.random() / 2),
      // Credentials can expire and be renewed while the application runs; giving up would need a restart.
      ignoreAuthErrorAbort: true,
      // The client takes a stack trace per request otherwise, a third of its time.
      noAsyncTraces: true,
      ...(options.inboxPrefix !== undefined && { inboxPrefix: options.inboxPrefix }),
    });
  } catch (error) {
    const servers = options.servers.map((server) => server.address).join(', ');
    const reason = describeFailure(error, options.connectTimeout);
    if (isDefinite(error)) throw new ConnectionError(`NATS at ${servers} refused the connection: ${reason}`, { cause: error });
    throw new NotYet(`NATS at ${servers} is not reachable: ${reason} Start nats-server, or let "servers" (NATS_URL) say where it runs.`, { cause: error });
  }
}

/** Whether JetStream answers this account. */
async function askJetStream(nats: NatsConnection, options: ResolvedConnectionOptions): Promise<void> {
  if (nats.isClosed()) throw new ConnectionError('The connection to NATS is closed; give one that is open.');
  const prefix = options.domain === undefined ? '$JS.API' : `$JS.${options.domain}.API`;
  let reply: { error?: { err_code?: number; description?: string } };
  try {
    reply = (await nats.request(`${prefix}.INFO`, undefined, { timeout: options.requestTimeout })).json();
  } catch (error) {
    const where = `${nats.getServer()}${options.domain === undefined ? '' : `, domain "${options.domain}"`}`;
    throw new NotYet(`JetStream does not answer at ${where}. Start nats-server with JetStream ("-js" or a jetstream block), or wait for the cluster's leader.`, { cause: error });
  }
  if (reply.error === undefined) return;
  const message = `JetStream at ${nats.getServer()} says: ${reply.error.description ?? 'an error without description'}.`;
  if (NO_JETSTREAM.has(reply.error.err_code ?? 0)) throw new ConnectionError(`${message} Enable it for the server and for this account.`);
  throw new NotYet(message);
}

/** The patience `whenAbsent` and `waitAtMost` ask for, over all that is waited for at boot. */
class Patience {
  readonly #options: ResolvedConnectionOptions;
  readonly #log: Log;
  readonly #signal: AbortSignal | undefined;
  readonly #start = performance.now();
  #saidAt = -Infinity;

  constructor(options: ResolvedConnectionOptions, log: Log, signal: AbortSignal | undefined) {
    this.#options = options;
    this.#log = log;
    this.#signal = signal;
  }

  /** Tries until it works, every `everyMs`. `graceMs`: how long to try even with `whenAbsent: 'fail'`. */
  async until<T>(attempt: () => Promise<T>, everyMs: number, graceMs = 0): Promise<T> {
    const begin = performance.now();
    for (;;) {
      this.#throwIfCancelled();
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof NotYet)) throw error;
        this.#throwIfOver(error, performance.now() - begin, graceMs);
        this.#say(error);
      }
      await this.#pause(everyMs);
    }
  }

  #throwIfOver(error: NotYet, sinceMs: number, graceMs: number): void {
    const { whenAbsent, waitAtMost = Infinity } = this.#options;
    const over = whenAbsent === 'fail' ? sinceMs >= graceMs : performance.now() - this.#start >= waitAtMost;
    if (!over) return;
    const waited = whenAbsent === 'fail' ? '' : ` Waited for ${waitAtMost} ms (waitAtMost).`;
    throw new ConnectionError(error.message + waited, { cause: error.cause });
  }

  #say(error: NotYet): void {
    const now = performance.now();
    if (now - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = now;
    const seconds = Math.round((now - this.#start) / 1000);
    this.#log.warn(`${error.message} Waiting for it${seconds === 0 ? '' : ` (${seconds} s so far)`}; whenAbsent: "fail" would give up.`);
  }

  async #pause(everyMs: number): Promise<void> {
    const left = (this.#options.waitAtMost ?? Infinity) - (performance.now() - this.#start);
    const time = Math.max(0, Math.min(everyMs * (1 + Math.random() / 2), left));
    try {
      await pause(time, undefined, { ...(this.#signal !== undefined && { signal: this.#signal }) });
    } catch (error) {
      this.#throwIfCancelled();
      throw error;
    }
  }

  #throwIfCancelled(): void {
    if (this.#signal?.aborted === true) throw new CancelledError('Connecting to NATS', { cause: this.#signal.reason });
  }
}
