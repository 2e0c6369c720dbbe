/** One server of the `servers` option, taken apart. */
export interface ServerAddress {
  /** `host:port`, safe to show: without user and password. */
  readonly address: string;
  /** The scheme asks for TLS. */
  readonly tls: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
}

const DEFAULT_PORT = '4222';

/**
 * Takes an address such as `nats://user:password@host:4222` apart.
 *
 * @returns the parts, or the problem as a sentence that never repeats a password.
 */
export function parseServer(text: string): ServerAddress | string {
  const shown = text.includes('@') ? 'the address' : `"${text}"`;
  const remedy = 'use nats://host:port or tls://host:port';
  if (text === '') return `an address is empty; ${remedy}`;
  const scheme = /^([a-z]+):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme !== 'nats' && scheme !== 'tls') {
    return `${scheme}:// is not a scheme of this client; ${remedy}`;
  }
  const full = scheme === undefined ? `nats://${text}` : text;
  if (!URL.canParse(full)) return `${shown} is not a server address; ${remedy}, and [brackets] around IPv6`;
  const url = new URL(full);
  if (url.hostname === '') return `${shown} names no host; ${remedy}`;
  const address = `${url.hostname}:${url.port === '' ? DEFAULT_PORT : url.port}`;
  const tls = scheme === 'tls';
  const [user, password] = [safeDecode(url.username), safeDecode(url.password)];
  if (user !== '' && password !== '') return { address, tls, user, password };
  return user === '' ? { address, tls } : { address, tls, token: user };
}

/** Percent-decoding that leaves text alone which is not percent-encoded. */
function safeDecode(text: string): string {
  return /%(?![0-9a-f]{2})/i.test(text) ? text : decodeURIComponent(text);
}
