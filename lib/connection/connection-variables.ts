import type { OptionVariable } from '../common/options-from-env.js';

/** The environment variables of the connection's options. */
export const connectionVariables: readonly OptionVariable[] = [
  { variable: 'NATS_URL', option: 'servers' },
  { variable: 'NATS_SERVERS', option: 'servers' },
  { variable: 'NATS_NAME', option: 'name' },
  { variable: 'NATS_USER', option: 'user' },
  { variable: 'NATS_PASSWORD', option: 'password' },
  { variable: 'NATS_TOKEN', option: 'token' },
  { variable: 'NATS_CREDS', option: 'credentialsFile' },
  { variable: 'NATS_NKEY_SEED', option: 'nkeySeed' },
  { variable: 'NATS_NKEY_SEED_FILE', option: 'nkeySeedFile' },
  { variable: 'NATS_TLS_CA', option: 'tls.caFile' },
  { variable: 'NATS_TLS_CERT', option: 'tls.certFile' },
  { variable: 'NATS_TLS_KEY', option: 'tls.keyFile' },
  { variable: 'NATS_TLS_FIRST', option: 'tls.handshakeFirst', kind: 'boolean' },
  { variable: 'NATS_CONNECT_TIMEOUT', option: 'connectTimeout' },
  { variable: 'NATS_WHEN_ABSENT', option: 'whenAbsent' },
  { variable: 'NATS_WAIT_AT_MOST', option: 'waitAtMost' },
  { variable: 'NATS_RECONNECT_WAIT', option: 'reconnectWait' },
  { variable: 'NATS_MAX_RECONNECT_ATTEMPTS', option: 'maxReconnectAttempts', kind: 'number' },
  { variable: 'NATS_PING_INTERVAL', option: 'pingInterval' },
  { variable: 'NATS_REQUEST_TIMEOUT', option: 'requestTimeout' },
  { variable: 'NATS_PUBLISH_TIMEOUT', option: 'publishTimeout' },
  { variable: 'NATS_MAX_PUBLISHES_IN_FLIGHT', option: 'maxPublishesInFlight', kind: 'number' },
  { variable: 'NATS_INBOX_PREFIX', option: 'inboxPrefix' },
  { variable: 'NATS_JS_DOMAIN', option: 'domain' },
];
