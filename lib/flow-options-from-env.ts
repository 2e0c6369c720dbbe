import { Logger } from '@nestjs/common';
import { didYouMean } from './common/did-you-mean.js';
import { optionsFromEnv, type OptionVariable } from './common/options-from-env.js';
import { connectionVariables } from './connection/connection-variables.js';
import { flowModuleOptionsSchema, type FlowModuleOptions } from './flow.module.options.js';

/** The environment variables of how the process takes part in flows. `flows` are values, not text. */
const runtimeVariables: readonly OptionVariable[] = [
  { variable: 'FLOW_PROVISION', option: 'provision' },
  { variable: 'FLOW_DURABILITY', option: 'durability' },
  { variable: 'FLOW_REPLICAS', option: 'replicas', kind: 'number' },
  { variable: 'FLOW_BUCKET_PREFIX', option: 'bucketPrefix' },
  { variable: 'FLOW_MAX_IN_FLIGHT', option: 'maxInFlight', kind: 'number' },
  { variable: 'FLOW_SHUTDOWN_TIMEOUT', option: 'shutdownTimeout' },
  { variable: 'FLOW_DEAD_LETTER_RETENTION', option: 'deadLetterRetention' },
  { variable: 'FLOW_CONSUME', option: 'consume', kind: 'boolean' },
  { variable: 'FLOW_INSTANCE', option: 'instance' },
];

/**
 * Options for `FlowModule.forRoot` from environment variables:
 *
 * | variable | option |
 * |---|---|
 * | `NATS_URL`, `NATS_SERVERS` | `servers`: addresses with commas between them; both may be set |
 * | `NATS_NAME` | `name` of the connection |
 * | `NATS_USER`, `NATS_PASSWORD` | `user`, `password` |
 * | `NATS_TOKEN` | `token` |
 * | `NATS_CREDS` | `credentialsFile`: a path |
 * | `NATS_NKEY_SEED`, `NATS_NKEY_SEED_FILE` | `nkeySeed`, or `nkeySeedFile`: the path of a file with it |
 * | `NATS_TLS_CA`, `NATS_TLS_CERT`, `NATS_TLS_KEY` | `tls.caFile`, `tls.certFile`, `tls.keyFile`: paths of PEM files |
 * | `NATS_TLS_FIRST` | `tls.handshakeFirst` |
 * | `NATS_CONNECT_TIMEOUT`, `NATS_REQUEST_TIMEOUT`, `NATS_PUBLISH_TIMEOUT` | `connectTimeout`, `requestTimeout`, `publishTimeout` |
 * | `NATS_WHEN_ABSENT`, `NATS_WAIT_AT_MOST` | `whenAbsent`: `wait` or `fail`; `waitAtMost` |
 * | `NATS_RECONNECT_WAIT`, `NATS_MAX_RECONNECT_ATTEMPTS`, `NATS_PING_INTERVAL` | `reconnectWait`, `maxReconnectAttempts`, `pingInterval` |
 * | `NATS_MAX_PUBLISHES_IN_FLIGHT` | `maxPublishesInFlight` |
 * | `NATS_INBOX_PREFIX`, `NATS_JS_DOMAIN` | `inboxPrefix`, `domain` |
 * | `FLOW_PROVISION` | `provision`: `auto`, `verify` or `off` |
 * | `FLOW_DURABILITY`, `FLOW_REPLICAS` | `durability`: `memory`, `file` or `replicated`; `replicas` |
 * | `FLOW_BUCKET_PREFIX` | `bucketPrefix` |
 * | `FLOW_MAX_IN_FLIGHT` | `maxInFlight` |
 * | `FLOW_SHUTDOWN_TIMEOUT`, `FLOW_DEAD_LETTER_RETENTION` | `shutdownTimeout`, `deadLetterRetention` |
 * | `FLOW_CONSUME` | `consume` |
 * | `FLOW_INSTANCE` | `instance` |
 *
 * Durations are text such as `30s`, or milliseconds; a switch is `true` or `false`, `1` or `0`, `yes` or `no`, `on` or
 * `off`. A variable that is not set, or empty, leaves its option to the default. Spread the result to add to it or to
 * overrule it: `FlowModule.forRoot({ ...flowOptionsFromEnv(), name: 'shop' })`.
 *
 * A variable `FLOW_…` that is none of these is most likely a slip: it is warned of.
 *
 * @param env @default process.env
 * @throws ConfigurationError with every problem at once, each under the name of its variable. Values, which may be
 * secret, never appear.
 */
export function flowOptionsFromEnv(env: Readonly<Record<string, string | undefined>> = process.env): FlowModuleOptions {
  warnOfUnknown(env);
  return optionsFromEnv([...connectionVariables, ...runtimeVariables], flowModuleOptionsSchema, env);
}

/** Not of `NATS_…`: other programs have variables of that name. */
function warnOfUnknown(env: Readonly<Record<string, string | undefined>>): void {
  const known = runtimeVariables.map(({ variable }) => variable);
  for (const name of Object.keys(env)) {
    if (!name.startsWith('FLOW_') || known.includes(name)) continue;
    new Logger('FlowModule').warn(`The environment variable ${name} sets no option.${didYouMean(name, known)}`);
  }
}
