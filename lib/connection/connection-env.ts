import { ConfigurationError } from '../common/errors.js';
import { connectionOptionsSchema, type ConnectionOptions } from './connection.options.js';

/** One environment variable and the option it sets. */
export interface ConnectionVariable {
  readonly variable: string;
  /** Option in {@link ConnectionOptions}, with a dot inside `tls`. */
  readonly option: string;
  /** How the text becomes a value. */
  readonly kind: 'text' | 'number' | 'boolean';
  /** For the documentation. */
  readonly description: string;
}

/**
 * All variables {@link connectionOptionsFromEnv} reads. Durations are text such as `30s`, or milliseconds.
 *
 * | variable | meaning |
 * |---|---|
 * | `NATS_URL`, `NATS_SERVERS` | server addresses with commas between them; both may be set |
 * | `NATS_NAME` | name of the connection |
 * | `NATS_USER`, `NATS_PASSWORD` | user and password |
 * | `NATS_TOKEN` | token |
 * | `NATS_CREDS` | path of a credentials file |
 * | `NATS_NKEY_SEED`, `NATS_NKEY_SEED_FILE` | nkey seed, or the path of a file with it |
 * | `NATS_TLS_CA`, `NATS_TLS_CERT`, `NATS_TLS_KEY` | paths of PEM files; `NATS_TLS_FIRST` for a TLS handshake at once |
 * | `NATS_CONNECT_TIMEOUT`, `NATS_REQUEST_TIMEOUT`, `NATS_PUBLISH_TIMEOUT` | durations |
 * | `NATS_WHEN_ABSENT`, `NATS_WAIT_AT_MOST` | `wait` or `fail` when no server is there at boot, and how long to wait |
 * | `NATS_RECONNECT_WAIT`, `NATS_MAX_RECONNECT_ATTEMPTS`, `NATS_PING_INTERVAL` | reconnecting |
 * | `NATS_MAX_PUBLISHES_IN_FLIGHT` | number |
 * | `NATS_INBOX_PREFIX`, `NATS_JS_DOMAIN` | names |
 */
export const connectionVariables: readonly ConnectionVariable[] = [
  variable('NATS_URL', 'servers', 'Server addresses, with commas between them'),
  variable('NATS_SERVERS', 'servers', 'The same; both may be set'),
  variable('NATS_NAME', 'name', 'Name of the connection'),
  variable('NATS_USER', 'user', 'User name'),
  variable('NATS_PASSWORD', 'password', 'Password of the user'),
  variable('NATS_TOKEN', 'token', 'Authentication token'),
  variable('NATS_CREDS', 'credentialsFile', 'Path of a credentials file'),
  variable('NATS_NKEY_SEED', 'nkeySeed', 'Seed of a user nkey'),
  variable('NATS_NKEY_SEED_FILE', 'nkeySeedFile', 'Path of a file with the seed'),
  variable('NATS_TLS_CA', 'tls.caFile', 'Path of the certificate authority (PEM)'),
  variable('NATS_TLS_CERT', 'tls.certFile', 'Path of the client certificate (PEM)'),
  variable('NATS_TLS_KEY', 'tls.keyFile', "Path of the client certificate's key (PEM)"),
  variable('NATS_TLS_FIRST', 'tls.handshakeFirst', 'true: TLS handshake before anything else', 'boolean'),
  variable('NATS_CONNECT_TIMEOUT', 'connectTimeout', 'Duration of one attempt to connect'),
  variable('NATS_WHEN_ABSENT', 'whenAbsent', 'wait or fail when no server is there at boot'),
  variable('NATS_WAIT_AT_MOST', 'waitAtMost', 'Longest wait at boot, a duration'),
  variable('NATS_RECONNECT_WAIT', 'reconnectWait', 'Pause between attempts to connect, a duration'),
  variable('NATS_MAX_RECONNECT_ATTEMPTS', 'maxReconnectAttempts', 'Attempts to reconnect, -1 for ever', 'number'),
  variable('NATS_PING_INTERVAL', 'pingInterval', 'Duration between pings'),
  variable('NATS_REQUEST_TIMEOUT', 'requestTimeout', 'Duration of a JetStream API request'),
  variable('NATS_PUBLISH_TIMEOUT', 'publishTimeout', 'Duration of a publish with its repetitions'),
  variable('NATS_MAX_PUBLISHES_IN_FLIGHT', 'maxPublishesInFlight', 'Publishes without acknowledgement', 'number'),
  variable('NATS_INBOX_PREFIX', 'inboxPrefix', 'First tokens of reply subjects'),
  variable('NATS_JS_DOMAIN', 'domain', 'JetStream domain'),
];

function variable(
  name: string,
  option: string,
  description: string,
  kind: ConnectionVariable['kind'] = 'text',
): ConnectionVariable {
  return { variable: name, option, kind, description };
}

/**
 * Connection options from environment variables, see {@link connectionVariables}. A variable that is not set,
 * or empty, leaves its option to the default. Pure: reads nothing but `env` (files are checked to exist).
 *
 * @throws ConfigurationError with every problem at once, each under the name of its variable. Values never appear.
 */
export function connectionOptionsFromEnv(env: Readonly<Record<string, string | undefined>>): ConnectionOptions {
  const options: Record<string, unknown> = {};
  const tls: Record<string, unknown> = {};
  const used = new Map<string, string>();
  const problems: string[] = [];
  for (const { variable: name, option, kind } of connectionVariables) {
    const text = env[name]?.trim();
    if (text === undefined || text === '') continue;
    const value = convert(text, kind);
    if (value === undefined) {
      problems.push(`${name}: is not a ${kind}`);
      continue;
    }
    used.set(option, used.has(option) ? `${used.get(option) ?? ''}, ${name}` : name);
    if (option.startsWith('tls.')) tls[option.slice('tls.'.length)] = value;
    else options[option] = typeof options[option] === 'string' ? `${options[option]},${String(value)}` : value;
  }
  if (Object.keys(tls).length > 0) options['tls'] = tls;
  const result = connectionOptionsSchema.safeParse(options);
  for (const issue of result.error?.issues ?? []) {
    const path = issue.path.map(String);
    const option = path[0] === 'tls' ? path.slice(0, 2).join('.') : (path[0] ?? '');
    const name = used.get(option) ?? (path[0] === 'tls' ? 'NATS_TLS_CERT, NATS_TLS_KEY' : option);
    problems.push(`${name}: ${issue.message}`);
  }
  if (problems.length > 0) throw new ConfigurationError('Environment', problems);
  return options;
}

function convert(text: string, kind: ConnectionVariable['kind']): string | number | boolean | undefined {
  if (kind === 'text') return text;
  if (kind === 'number') return /^-?\d+$/.test(text) ? Number(text) : undefined;
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  return /^(false|0|no|off)$/i.test(text) ? false : undefined;
}
