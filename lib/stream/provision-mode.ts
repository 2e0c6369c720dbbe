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

/** Refusals of a configuration that the server sends as if they were errors of its own. */
const REFUSALS = new Set([
  10012, // consumer create
  10049, // stream create
  10052, // stream configuration
  10053, // stream limits
  10069, // stream update
  10074, // replicas without a cluster
]);

/** Turns "your configuration is not acceptable" from the server into a {@link ConfigurationError}; throws either way. */
export function rethrowRefusal(where: string, problems: readonly string[], remedy: string, error: unknown): never {
  const refused =
    error instanceof JetStreamRequestError &&
    error.cause instanceof JetStreamApiError &&
    (error.cause.status === BAD_REQUEST || REFUSALS.has(error.apiCode));
  if (!refused) throw error;
  const reason = `the server refuses: ${(error.cause as Error).message} (${error.apiCode}). ${remedy}`;
  throw new ConfigurationError(where, [...problems, reason], { cause: error });
}
