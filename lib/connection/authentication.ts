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
  if (options.credentialsFile !== undefined) return rereading(options.credentialsFile, credsAuthenticator, log);
  if (options.nkeySeed !== undefined) return nkeyAuthenticator(TE.encode(options.nkeySeed));
  if (options.nkeySeedFile !== undefined) return rereading(options.nkeySeedFile, seedAuthenticator, log);
  return undefined;
}

function seedAuthenticator(content: Uint8Array): Authenticator {
  return nkeyAuthenticator(TE.encode(new TextDecoder().decode(content).trim()));
}

/**
 * Reads a file at every connect, so that it can be rotated. While it cannot be read or makes no sense, because it
 * is just being written perhaps, its last good content serves on: an error in an authenticator would make the
 * client close the connection for good.
 */
function rereading(path: string, authenticatorOf: (content: Uint8Array) => Authenticator, log: Log): Authenticator {
  let lastGood: Authenticator | undefined;
  return (nonce) => {
    try {
      const current = authenticatorOf(readFileSync(path));
      const answer = current(nonce);
      lastGood = current;
      return answer;
    } catch (error) {
      if (lastGood === undefined) throw error;
      log.warn(`${path} cannot be used (${String(error)}); authenticating with what it said before.`);
      return lastGood(nonce);
    }
  };
}
