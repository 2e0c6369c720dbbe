import { readFileSync } from 'node:fs';
import {
  credsAuthenticator,
  nkeyAuthenticator,
  TE,
  type Authenticator,
  type NodeConnectionOptions,
} from '@nats-io/transport-node';
import type { Log } from '../common/log.js';
import type { ResolvedConnectionOptions } from './connection.options.js';

/** The part of the client's options that says who we are and how the connection is protected. */
export function authenticationOptions(options: ResolvedConnectionOptions, log: Log): NodeConnectionOptions {
  const inAddress = options.servers.find((server) => (server.user ?? server.token) !== undefined);
  const user = options.user ?? inAddress?.user;
  const pass = options.password ?? inAddress?.password;
  const token = options.token ?? inAddress?.token;
  const authenticator = fileAuthenticator(options, log);
  const tls = options.tls ?? (options.servers.some((server) => server.tls) ? {} : undefined);
  return {
    ...(user !== undefined && { user }),
    ...(pass !== undefined && { pass }),
    ...(token !== undefined && { token }),
    ...(authenticator !== undefined && { authenticator }),
    ...(tls !== undefined && { tls }),
  };
}

function fileAuthenticator(options: ResolvedConnectionOptions, log: Log): Authenticator | undefined {
  if (options.credentialsFile !== undefined) return credsAuthenticator(rereading(options.credentialsFile, log));
  if (options.nkeySeed !== undefined) return nkeyAuthenticator(TE.encode(options.nkeySeed));
  if (options.nkeySeedFile === undefined) return undefined;
  const read = rereading(options.nkeySeedFile, log);
  return nkeyAuthenticator(() => TE.encode(new TextDecoder().decode(read()).trim()));
}

/**
 * Reads a file at every call, so that it can be rotated. When it cannot be read any more the last content serves
 * on: an error in an authenticator would make the client close the connection for good.
 */
function rereading(path: string, log: Log): () => Uint8Array {
  let last: Uint8Array | undefined;
  return () => {
    try {
      last = readFileSync(path);
    } catch (error) {
      if (last === undefined) throw error;
      log.warn(`${path} cannot be read (${String(error)}); authenticating with what it said before.`);
    }
    return last;
  };
}
