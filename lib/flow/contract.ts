import { z } from 'zod';
import type { MessageSchema } from '../codec/message-schema.js';
import type { Duration } from '../common/duration.js';
import { ConfigurationError } from '../common/errors.js';
import { isValidName, NAME_RULE, RESERVED_FLOW_NAMES } from '../common/names.js';
import { describeIssues, durationSchema } from '../common/validate-options.js';
import { messageSchemaOption } from './message-schema.option.js';

/**
 * How much of a run is recorded. `'none'`: nothing, the cheapest; a run has no status and no result.
 * `'run'`: its start, end and result. `'step'`: each step's outcome too. Every record costs a write.
 */
export type TrackLevel = 'none' | 'run' | 'step';

/** What {@link flow} accepts beside the name. */
export interface FlowContractOptions<I extends MessageSchema, O extends MessageSchema> {
  /** Type of the message a run starts with. */
  readonly input: I;
  /** Type of the message a run ends with. @default JSON, of a type the compiler does not know */
  readonly output?: O;
  /** How much of a run is recorded. @default 'run' */
  readonly track?: TrackLevel;
  /** How long the flow's messages and run records are kept. Starting a run is idempotent for this long. @default '7d' */
  readonly retention?: Duration;
}

/**
 * What the services that start a flow and the workers that run it agree on. Made by {@link flow}; an immutable
 * value without any connection, safe to share and to export from a package of its own.
 */
export interface FlowContract<I extends MessageSchema = MessageSchema, O extends MessageSchema = MessageSchema> {
  /** Name of the flow; names its stream, subjects and records. */
  readonly name: string;
  /** Type of the message a run starts with. */
  readonly input: I;
  /** Type of the message a run ends with; absent when it was not declared. */
  readonly output?: O;
  /** How much of a run is recorded. */
  readonly track: TrackLevel;
  /** How long messages and records are kept, in milliseconds. */
  readonly retentionMs: number;
}

/** Flow names may not end so: the stream that ingests external subjects does. */
const INGEST_SUFFIX = '_IN';

const contractSchema = z.strictObject({
  input: messageSchemaOption,
  output: messageSchemaOption.optional(),
  track: z.enum(['none', 'run', 'step']).default('run'),
  retention: durationSchema.refine((value) => value > 0, 'must be longer than nothing').prefault('7d'),
});

/**
 * Declares a flow. Declare it once and share the value between the services that start the flow and those that
 * hold its steps.
 *
 * @throws ConfigurationError naming every problem: an invalid or reserved name, options that are out of range.
 */
export function flow<I extends MessageSchema, O extends MessageSchema = MessageSchema>(
  name: string,
  options: FlowContractOptions<I, O>,
): FlowContract<I, O> {
  const parsed = contractSchema.safeParse(options);
  const problems = [...nameProblems(name), ...(parsed.success ? [] : describeIssues(contractSchema, parsed.error))];
  if (!parsed.success || problems.length > 0) throw new ConfigurationError(`Flow "${name}"`, problems);
  const { track, retention } = parsed.data;
  const { input, output } = options;
  return Object.freeze({ name, input, ...(output === undefined ? {} : { output }), track, retentionMs: retention });
}

function nameProblems(name: string): string[] {
  if (!isValidName(name)) return [`the name is not valid; ${NAME_RULE}.`];
  if (RESERVED_FLOW_NAMES.includes(name)) return ['the name is reserved for the library; choose another.'];
  if (name.endsWith(INGEST_SUFFIX))
    return [`the name ends in "${INGEST_SUFFIX}", as the library's own streams do; choose another.`];
  return [];
}
