import { describeThrown } from './describe-thrown.js';
import { ConfigurationError } from './errors.js';

/**
 * One error for all that went wrong side by side, so that no problem of a configuration is told only after another was mended:
 * the only one as it is; several as a {@link ConfigurationError} of all, when one of them is. Without any, what is wrong
 * is wrong with the server, and the first tells that.
 *
 * @param where for the error: `Flows`
 */
export function oneFailure(where: string, failures: readonly unknown[]): unknown {
  if (failures.length < 2 || !failures.some(isAboutConfiguration)) return failures[0];
  const cause = failures.find((failure) => !isAboutConfiguration(failure));
  const problems = failures.map((failure) =>
    isAboutConfiguration(failure) ? failure.message : describeThrown(failure),
  );
  return new ConfigurationError(where, problems, cause === undefined ? {} : { cause });
}

function isAboutConfiguration(failure: unknown): failure is ConfigurationError {
  return failure instanceof ConfigurationError;
}

/** What the promises that failed were rejected with. */
export async function failuresOf(promises: Iterable<Promise<unknown>>): Promise<unknown[]> {
  const settled = await Promise.allSettled(promises);
  return settled.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
}
