import { ConfigurationError, JetStreamRequestError } from '../common/errors.js';
import { JetStreamApiError } from '@nats-io/jetstream';

/**
 * What is done at boot about what the server lacks:
 *
 * - `auto`: create it, and update what may be updated;
 * - `verify`: change nothing, fail when something is missing or different;
 * - `off`: do not look.
 */
export type ProvisionMode = 'auto' | 'verify' | 'off';

const BAD_REQUEST = 400;

/** Turns "your configuration is not acceptable" from the server into a {@link ConfigurationError}; throws either way. */
export function rethrowRefusal(where: string, problems: readonly string[], remedy: string, error: unknown): never {
  const refused =
    error instanceof JetStreamRequestError &&
    error.cause instanceof JetStreamApiError &&
    error.cause.status === BAD_REQUEST;
  if (!refused) throw error;
  const reason = `the server refuses: ${(error.cause as Error).message} (${error.apiCode}). ${remedy}`;
  throw new ConfigurationError(where, [...problems, reason], { cause: error });
}
