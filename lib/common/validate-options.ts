import { z } from 'zod';
import { ConfigurationError } from './errors.js';
import { toMilliseconds, type Duration } from './duration.js';

/** Schema of a {@link Duration}; its output is in milliseconds. */
export const durationSchema = z.custom<Duration>().transform((value, context) => {
  try {
    return toMilliseconds(value);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

/** One sentence per problem: the option's path, then what is wrong with it. */
export function describeIssues(error: z.ZodError): string[] {
  return error.issues.map((issue) => {
    const path = issue.path.map(String).join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
}

/**
 * Checks `options` against `schema` and fills in its defaults.
 *
 * @throws ConfigurationError naming `where` and every problem at once.
 */
export function validateOptions<S extends z.ZodType>(where: string, schema: S, options: unknown): z.output<S> {
  const result = schema.safeParse(options);
  if (!result.success) {
    throw new ConfigurationError(where, describeIssues(result.error), { cause: result.error });
  }
  return result.data;
}
