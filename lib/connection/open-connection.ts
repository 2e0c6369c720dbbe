import { connect, type NatsConnection } from '@nats-io/transport-node';
import { ConnectionError } from '../common/errors.js';
import type { Log } from '../common/log.js';
import { authenticationOptions } from './authentication.js';
import { describeFailure, isDefinite } from './connect-failure.js';
import { ConnectionMonitor } from './connection-monitor.js';
import type { ResolvedConnectionOptions } from './connection.options.js';
import { NotYet, Patience } from './patience.js';
import { reconnectPause } from './reconnect-pause.js';

/** JetStream of a cluster that has just started takes a moment; it is asked this often. */
const JETSTREAM_ASK_MS = 250;
/** JetStream's "not enabled for this account" and "not enabled on this server". */
const NO_JETSTREAM: ReadonlySet<number> = new Set([10039, 10076]);

/** A connection on which JetStream answers, and its watcher. */
export interface OpenConnection {
  readonly nats: NatsConnection;
  readonly monitor: ConnectionMonitor;
}

/**
 * Opens the connection, or takes the application's own, and waits until JetStream answers on it.
 *
 * @throws ConnectionError see `FlowConnection.connect`.
 */
export async function openConnection(
  options: ResolvedConnectionOptions,
  log: Log,
  signal?: AbortSignal,
): Promise<OpenConnection> {
  const patience = new Patience(options, log, signal);
  const foreign = options.connection !== undefined;
  const nats = options.connection ?? (await patience.until(() => dial(options, log), options.reconnectWait));
  // Watched from here on: a loss while JetStream is asked must not go unnoticed.
  const monitor = new ConnectionMonitor(nats, log, { name: options.name, foreign });
  try {
    await patience.until(() => askJetStream(nats, options), JETSTREAM_ASK_MS, options.connectTimeout);
  } catch (error) {
    if (foreign) monitor.stop();
    else {
      monitor.expectClose();
      await nats.close();
    }
    throw error;
  }
  const version = nats.info?.version ?? 'of unknown version';
  log.log(`Connected to NATS at ${nats.getServer()} (nats-server ${version}) as "${options.name}".`);
  return { nats, monitor };
}

/** One attempt to connect, to each of the servers once. */
async function dial(options: ResolvedConnectionOptions, log: Log): Promise<NatsConnection> {
  const authentication = authenticationOptions(options, log);
  try {
    return await connect({
      ...authentication,
      servers: options.servers.map((server) => server.address),
      name: options.name,
      timeout: options.connectTimeout,
      pingInterval: options.pingInterval,
      maxReconnectAttempts: options.maxReconnectAttempts,
      reconnectDelayHandler: () => reconnectPause(options.reconnectWait),
      // Credentials can expire and be renewed while the application runs; giving up would need a restart.
      ignoreAuthErrorAbort: true,
      // Otherwise the client takes a stack trace per request, a good part of its time.
      noAsyncTraces: true,
      ...(options.inboxPrefix !== undefined && { inboxPrefix: options.inboxPrefix }),
    });
  } catch (error) {
    const servers = options.servers.map((server) => server.address).join(', ');
    const reason = describeFailure(error, options.connectTimeout, authentication.tls ?? undefined);
    if (isDefinite(error))
      throw new ConnectionError(`No connection to NATS at ${servers}: ${reason}`, { cause: error });
    const remedy = 'Start nats-server, or let "servers" (NATS_URL) say where it runs.';
    throw new NotYet(`NATS at ${servers} is not reachable: ${reason} ${remedy}`, { cause: error });
  }
}

interface InfoReply {
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/** Whether JetStream answers this account. */
async function askJetStream(nats: NatsConnection, options: ResolvedConnectionOptions): Promise<void> {
  if (nats.isClosed()) throw new ConnectionError(`Connection "${options.name}" to NATS is closed.`);
  const prefix = options.domain === undefined ? '$JS.API' : `$JS.${options.domain}.API`;
  const where = `${nats.getServer()}${options.domain === undefined ? '' : `, domain "${options.domain}"`}`;
  let reply: InfoReply;
  try {
    const message = await nats.request(`${prefix}.INFO`, undefined, { timeout: options.requestTimeout });
    reply = message.json<InfoReply>();
  } catch (error) {
    const remedy = 'Start nats-server with JetStream ("-js" or a jetstream block); a cluster needs its leader.';
    throw new NotYet(`JetStream does not answer at ${where}. ${remedy}`, { cause: error });
  }
  if (reply.error === undefined) return;
  const message = `JetStream at ${where} says: ${reply.error.description ?? 'an error without description'}.`;
  if (NO_JETSTREAM.has(reply.error.err_code ?? 0)) {
    throw new ConnectionError(`${message} Enable it for the server and for this account.`);
  }
  throw new NotYet(message);
}
