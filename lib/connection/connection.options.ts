import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Duration } from '../common/duration.js';
import { durationSchema, validateOptions } from '../common/validate-options.js';
import { parseServer, type ServerAddress } from './server-address.js';

/** How to reach the NATS server, and how patient to be with it. */
export interface ConnectionOptions {
  /**
   * Addresses as `nats://host:port`, `tls://host:port` or `host:port`; a list, or one text with commas. User
   * and password, or a token, may stand in the address.
   * @default 'nats://127.0.0.1:4222'
   */
  readonly servers?: string | readonly string[];
  /** Name shown in the server's connection list and in our log. @default 'nestjs-jetstream-flow' */
  readonly name?: string;
  /** User name; needs `password`. */
  readonly user?: string;
  readonly password?: string;
  /** Authentication token. */
  readonly token?: string;
  /** Path of a `.creds` file (JWT and nkey). Read again at every reconnect, so that it can be rotated. */
  readonly credentialsFile?: string;
  /** The nkey seed itself (`SU…`). */
  readonly nkeySeed?: string;
  /** Path of a file with the nkey seed. Read again at every reconnect. */
  readonly nkeySeedFile?: string;
  /**
   * TLS; `{}` asks for TLS with the system's certificate authorities. Give `servers` by host name: the client
   * compares the certificate of an IP address with `localhost`.
   */
  readonly tls?: ConnectionTlsOptions;
  /** How long one attempt to connect may take. @default '5s' */
  readonly connectTimeout?: Duration;
  /** Server not there at boot: wait for it (and say so), or fail at once. @default 'wait' */
  readonly whenAbsent?: 'wait' | 'fail';
  /** Upper bound of the wait at boot. @default no bound */
  readonly waitAtMost?: Duration;
  /** Pause between two attempts to connect; up to half of it is added at random. @default '2s' */
  readonly reconnectWait?: Duration;
  /** Attempts to reconnect per server before the connection is given up; -1 never gives up. @default -1 */
  readonly maxReconnectAttempts?: number;
  /** How often the server is pinged; a connection with two unanswered pings is given up at the third. @default '5s' */
  readonly pingInterval?: Duration;
  /** How long a request to JetStream's API may take. @default '5s' */
  readonly requestTimeout?: Duration;
  /** How long a publish may take, with all its repetitions. @default '10s' */
  readonly publishTimeout?: Duration;
  /** Publishes without acknowledgement at one time; more of them wait. @default 1024 */
  readonly maxPublishesInFlight?: number;
  /** First tokens of our reply subjects, for accounts with narrow permissions. @default '_INBOX' */
  readonly inboxPrefix?: string;
  /** JetStream domain, for leaf nodes. @default the server's own */
  readonly domain?: string;
  /** The application's own connection. Servers, authentication and reconnecting are then its business, and it is never closed by us. */
  readonly connection?: NatsConnection;
}

/** TLS files are paths of PEM files. */
export interface ConnectionTlsOptions {
  /** Certificate authority that signed the server's certificate. */
  readonly caFile?: string;
  /** Client certificate; needs `keyFile`. */
  readonly certFile?: string;
  /** Key of the client certificate; needs `certFile`. */
  readonly keyFile?: string;
  /** TLS before the server's first word; the server needs `handshake_first`. @default false */
  readonly handshakeFirst?: boolean;
}

const text = z.string().min(1, 'must not be empty');
/** A duration that is not zero. */
const span = durationSchema.refine((milliseconds) => milliseconds > 0, { message: 'must be longer than 0' });
const file = text.refine(existsSync, { message: 'the file does not exist' });

const serverList = z
  .union([z.string(), z.array(z.string())], { error: 'use an address such as "nats://host:4222", or a list of them' })
  .transform((value, context): ServerAddress[] => {
    const list = (typeof value === 'string' ? value.split(',') : value).map((entry) => entry.trim());
    const parsed = list.map(parseServer);
    const addresses: ServerAddress[] = [];
    parsed.forEach((server, index) => {
      if (typeof server === 'string') context.addIssue({ code: 'custom', path: [index], message: server });
      else addresses.push(server);
    });
    if (list.length === 0) context.addIssue({ code: 'custom', message: 'name at least one server' });
    return addresses;
  });

/** Whether `value` looks like a connection of the client library, whichever copy of it made it. */
function isNatsConnection(value: NatsConnection): boolean {
  const candidate = value as Partial<NatsConnection> | null;
  return (
    typeof candidate?.publish === 'function' &&
    typeof candidate.status === 'function' &&
    typeof candidate.rtt === 'function'
  );
}

/**
 * The fields of {@link ConnectionOptions} with their defaults, for schemas that contain them. Whoever builds
 * such a schema adds {@link checkConnectionOptions} with `superRefine`.
 */
export const connectionOptionsShape = {
  servers: serverList.prefault('nats://127.0.0.1:4222'),
  name: text.default('nestjs-jetstream-flow'),
  user: text.optional(),
  password: text.optional(),
  token: text.optional(),
  credentialsFile: file.optional(),
  nkeySeed: text.regex(/^SU[A-Z2-7]{56}$/, 'is not the seed of a user nkey').optional(),
  nkeySeedFile: file.optional(),
  tls: z
    .strictObject({
      caFile: file.optional(),
      certFile: file.optional(),
      keyFile: file.optional(),
      handshakeFirst: z.boolean().optional(),
    })
    .refine((tls) => (tls.certFile === undefined) === (tls.keyFile === undefined), {
      message: 'certFile and keyFile need each other',
    })
    .optional(),
  connectTimeout: span.prefault('5s'),
  whenAbsent: z.enum(['wait', 'fail']).default('wait'),
  waitAtMost: span.optional(),
  reconnectWait: span.prefault('2s'),
  maxReconnectAttempts: z.int().min(-1).default(-1),
  pingInterval: span.prefault('5s'),
  requestTimeout: span.prefault('5s'),
  publishTimeout: span.prefault('10s'),
  maxPublishesInFlight: z.int().min(1).max(65_536).default(1024),
  inboxPrefix: text.regex(/^[^\s*>.]+(\.[^\s*>.]+)*$/, 'must be a subject without wildcards').optional(),
  domain: text.regex(/^[^\s*>.]+$/, 'must be one word without dots and wildcards').optional(),
  connection: z
    .custom<NatsConnection>()
    .refine(isNatsConnection, 'is not a connection of @nats-io/transport-node')
    .optional(),
};

const shape = z.strictObject(connectionOptionsShape);

/** {@link ConnectionOptions} checked, durations in milliseconds, defaults filled in. */
export type ResolvedConnectionOptions = z.output<typeof shape>;

/** The rules between the options. Bears options that have problems of their own and were left as they came. */
export function checkConnectionOptions(options: ResolvedConnectionOptions, context: z.RefinementCtx): void {
  const add = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  if (options.user !== undefined && options.password === undefined) add('user', 'needs password beside it');
  if (options.password !== undefined && options.user === undefined) add('password', 'needs user beside it');
  const ways = (['user', 'token', 'credentialsFile', 'nkeySeed', 'nkeySeedFile'] as const)
    .filter((way): boolean => options[way] !== undefined)
    .map(String)
    .concat(namesAreIn(options.servers) ? ['servers'] : []);
  if (ways.length > 1) add(ways[1] ?? 'user', `choose one way to authenticate, not ${ways.join(' and ')}`);
  if (options.connection !== undefined && (ways.length > 0 || options.tls !== undefined)) {
    add('connection', 'authentication and TLS belong to the connection given; leave them out');
  }
  if (options.waitAtMost !== undefined && options.whenAbsent === 'fail') {
    add('waitAtMost', 'has no meaning with whenAbsent "fail"');
  }
}

function namesAreIn(servers: unknown): boolean {
  if (!Array.isArray(servers)) return false;
  return servers.some((server: Partial<ServerAddress> | null) => (server?.user ?? server?.token) !== undefined);
}

/** Schema of {@link ConnectionOptions}; unknown names are problems. */
const connectionOptionsSchema = shape.superRefine(checkConnectionOptions, {
  // Also when single options have problems already: they are all reported at once.
  when: ({ value }) => typeof value === 'object' && value !== null,
});

/**
 * Checks `options` and fills in the defaults.
 *
 * @throws ConfigurationError with every problem at once. Secrets never appear in it.
 */
export function resolveConnectionOptions(options: ConnectionOptions): ResolvedConnectionOptions {
  return validateOptions('Connection options', connectionOptionsSchema, options);
}
