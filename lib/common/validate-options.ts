import { z } from 'zod';
import { didYouMean } from './did-you-mean.js';
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
export function describeIssues(schema: z.ZodType, error: z.ZodError): string[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String).join('.');
    const prefix = path === '' ? '' : `${path}: `;
    if (issue.code !== 'unrecognized_keys') return [prefix + issue.message];
    const known = optionsAt(schema, issue.path);
    return issue.keys.map((key) => `${prefix}there is no option "${key}".${didYouMean(key, known)}`);
  });
}

/** Names of the options that a schema has, or a group in it. */
function optionsAt(schema: unknown, [name, ...rest]: readonly PropertyKey[]): string[] {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    inner = inner.unwrap();
  }
  if (!(inner instanceof z.ZodObject)) return [];
  const shape: Readonly<Record<PropertyKey, unknown>> = inner.shape;
  return name === undefined ? Object.keys(shape) : optionsAt(shape[name], rest);
}

/**
 * Checks `options` against `schema` and fills in its defaults.
 *
 * @throws ConfigurationError naming `where` and every problem at once.
 */
export function validateOptions<S extends z.ZodType>(where: string, schema: S, options: unknown): z.output<S> {
  const result = schema.safeParse(options);
  if (!result.success) {
    throw new ConfigurationError(where, describeIssues(schema, result.error), { cause: result.error });
  }
  return result.data;
}
