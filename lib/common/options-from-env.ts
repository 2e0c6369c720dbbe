import type { z } from 'zod';
import { ConfigurationError } from './errors.js';

/** An environment variable and the option it sets. */
export interface OptionVariable {
  readonly variable: string;
  /** Name of the option; one inside a group has a dot, as `tls.caFile`. Two variables may give parts of one list. */
  readonly option: string;
  /** How the text becomes a value. @default 'text' */
  readonly kind?: 'text' | 'number' | 'boolean';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What the variables say, before anything is checked. */
interface Reading {
  readonly options: Readonly<Record<string, unknown>>;
  /** The variable of each option that was set. */
  readonly sources: ReadonlyMap<string, string>;
  readonly problems: string[];
}

/**
 * Options from environment variables, checked against `schema` and returned as they were written, without its
 * defaults. A variable that is not set, or empty, sets nothing.
 *
 * @throws ConfigurationError with every problem at once, each under the name of its variable. Values never appear.
 */
export function optionsFromEnv(
  variables: readonly OptionVariable[],
  schema: z.ZodType,
  env: Environment,
): Readonly<Record<string, unknown>> {
  const { options, sources, problems } = read(variables, env);
  for (const { path, message } of schema.safeParse(options).error?.issues ?? []) {
    problems.push(`${sourceOf(path.map(String), sources)}: ${message}`);
  }
  if (problems.length > 0) throw new ConfigurationError('Environment', problems);
  return options;
}

function read(variables: readonly OptionVariable[], env: Environment): Reading {
  const options: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  const problems: string[] = [];
  for (const { variable, option, kind = 'text' } of variables) {
    const text = env[variable]?.trim();
    if (text === undefined || text === '') continue;
    const value = convert(text, kind);
    if (value === undefined) {
      problems.push(`${variable}: "${text}" is not a ${kind}${kind === 'boolean' ? '; use true or false' : ''}`);
      continue;
    }
    const others = sources.get(option);
    sources.set(option, others === undefined ? variable : `${others}, ${variable}`);
    const [group, member] = option.split('.');
    if (group !== undefined && member !== undefined) {
      options[group] = { ...(options[group] as object | undefined), [member]: value };
    } else {
      const part = options[option];
      options[option] = typeof part === 'string' ? `${part},${String(value)}` : value;
    }
  }
  return { options, sources, problems };
}

function convert(text: string, kind: NonNullable<OptionVariable['kind']>): string | number | boolean | undefined {
  if (kind === 'text') return text;
  if (kind === 'number') return /^-?\d+$/.test(text) ? Number(text) : undefined;
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  return /^(false|0|no|off)$/i.test(text) ? false : undefined;
}

/** The variable that a problem is about; for one of a whole group, the variables that were set of it. */
function sourceOf([name = '', member]: readonly string[], sources: ReadonlyMap<string, string>): string {
  const exact = sources.get(`${name}.${member ?? ''}`) ?? sources.get(name);
  if (exact !== undefined) return exact;
  const ofGroup = [...sources].filter(([option]) => option.startsWith(`${name}.`)).map(([, variable]) => variable);
  return ofGroup.length > 0 ? ofGroup.join(', ') : name;
}
