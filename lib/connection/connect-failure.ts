import { AuthorizationError, UserAuthenticationExpiredError } from '@nats-io/transport-node';

const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO)/;

/** Codes of an error and of what caused it. */
function* codes(error: unknown): Generator<string> {
  for (let current = error; current instanceof Error; current = current.cause) {
    if ('code' in current && typeof current.code === 'string') yield current.code;
  }
}

function isTlsFailure(error: unknown): boolean {
  if (error instanceof Error && error.message.includes("does not support 'tls'")) return true;
  return [...codes(error)].some((code) => TLS_CODE.test(code));
}

function isAuthFailure(error: unknown): boolean {
  return error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError;
}

/** Whether a failed attempt to connect will fail again until somebody changes a configuration. */
export function isDefinite(error: unknown): boolean {
  if (isAuthFailure(error) || isTlsFailure(error)) return true;
  return error instanceof Error && /unable to parse credentials|invalid (seed|encoded|public)/i.test(error.message);
}

/**
 * Why an attempt to connect failed, as sentences with the remedy where there is one.
 *
 * @param tls how TLS was asked for, if it was
 */
export function describeFailure(
  error: unknown,
  timeoutMs: number,
  tls: { readonly handshakeFirst?: boolean | undefined } | undefined,
): string {
  const message = error instanceof Error ? error.message : String(error);
  if (isAuthFailure(error)) return `${message}. Check user and password, token, nkey or credentials file.`;
  if (isTlsFailure(error))
    return `TLS failed: ${message}. Check the tls option's files, and that the server speaks TLS.`;
  const found = new Set(codes(error));
  if (found.has('ECONNREFUSED')) return 'connection refused.';
  if (found.has('ENOTFOUND') || found.has('EAI_AGAIN')) return `unknown host (${message}).`;
  if (error instanceof Error && error.name === 'TimeoutError') {
    const hints = [
      // With TLS 1.3 a refusal of our certificate comes after the handshake, where the client does not hear it.
      ...(tls === undefined ? [] : ['the server may have refused the client certificate, see its log']),
      // Then each side waits for the other's first word.
      ...(tls?.handshakeFirst === true ? [] : ['if the server has handshake_first, set tls.handshakeFirst']),
    ];
    return `no answer within ${timeoutMs} ms (${hints.join('; ')}).`;
  }
  return `${message === '' ? 'unknown reason' : message}.`;
}
