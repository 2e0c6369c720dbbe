import { z } from 'zod';
import { didYouMean } from '../../common/did-you-mean.js';
import { isValidName, NAME_RULE } from '../../common/names.js';
import { externalSubjectProblem } from '../../common/subject-pattern.js';
import { durationSchema } from '../../common/validate-options.js';
import type { FlowContract } from '../contract.js';
import type { FlowMessage } from '../flow-context.js';
import { messageSchemaOption } from '../message-schema.option.js';
import { DEFAULT_RETRY, type RetryPolicy } from '../retry-policy.js';
import { stepRateSchema, toRateSettings } from '../step-rate.options.js';
import type { DeclaredStep } from './declared-step.js';
import type { StepDefinition, StepSettings } from './step-definition.js';

/** Deliveries allowed beyond the attempts: those that a crash or a shutdown ends are not the message's fault. */
const DELIVERIES_BEYOND_ATTEMPTS = 20;

/** Below this a healthy worker cannot extend its lease in time. */
const SHORTEST_ACK_WAIT_MS = 100;

const oneOrMore = z.union([
  z.string(),
  z.array(z.string()).min(1, 'is an empty list; name at least one, or leave it out'),
]);
const positiveDuration = durationSchema.refine((value) => value > 0, 'must be longer than nothing');
const callable = <T>() => z.custom<T>((value) => typeof value === 'function', 'must be a function');

const retryPolicy = z.custom<RetryPolicy>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'delay' in value &&
    typeof value.delay === 'function' &&
    'attempts' in value &&
    Number.isInteger(value.attempts) &&
    Number(value.attempts) >= 1,
  'must be a retry policy with at least 1 attempt: exponential(), fixed(), custom()',
);

const optionsSchema = z.strictObject({
  flow: z.custom<FlowContract>().optional(),
  name: z.string().optional(),
  subject: oneOrMore.optional(),
  runId: callable<(input: unknown, message: FlowMessage) => string>().optional(),
  deliver: z.enum(['all', 'new']).optional(),
  after: oneOrMore.optional(),
  when: callable<(value: unknown) => boolean>().optional(),
  otherwise: z.literal(true).optional(),
  input: messageSchemaOption.optional(),
  output: messageSchemaOption.optional(),
  retry: retryPolicy.default(DEFAULT_RETRY),
  timeout: positiveDuration.prefault('1m'),
  concurrency: z.int().min(1).max(65_536).default(16),
  ackWait: durationSchema
    .refine((value) => value >= SHORTEST_ACK_WAIT_MS, `must be ${SHORTEST_ACK_WAIT_MS} ms or more`)
    .prefault('30s'),
  ack: z.enum(['single', 'double']).default('single'),
  maxDeliveries: z.int().min(1).optional(),
  rate: stepRateSchema.optional(),
});

type ParsedOptions = z.output<typeof optionsSchema>;

/** A step's definition, as far as it can be made out, and all that is wrong with its options. */
export interface NormalizedStep {
  /** Absent only when the step belongs to no flow. Options with a problem have their default here. */
  readonly definition?: StepDefinition;
  readonly problems: readonly string[];
}

/** Checks the options of one step and fills in their defaults. What concerns other steps is the graph's matter. */
export function normalizeStep(step: DeclaredStep): NormalizedStep {
  const { options, problems } = parseOptions(step.options);
  const settings = toSettings(options);
  const name = options.name ?? step.methodName;
  if (!isValidName(name)) problems.push(`"${name}" is not a valid step name; ${NAME_RULE}.`);
  problems.push(...settingsProblems(settings), ...(step.problems ?? []));
  if (options.deliver !== undefined && settings.subjects.length === 0) {
    problems.push('"deliver" chooses among the messages of external subjects, but it has no "subject".');
  }
  if (step.contract === undefined) {
    problems.push(
      'it belongs to no flow: decorate the class with @Flow(contract), or give the step the "flow" option.',
    );
  }
  const located = problems.map((problem) => `step "${name}" (${step.where}): ${problem}`);
  if (step.contract === undefined) return { problems: located };
  return { definition: { contract: step.contract, name, options: settings, where: step.where }, problems: located };
}

/** Options that do not parse are reported and left out, so that the rest can still be checked. */
function parseOptions(raw: object): { options: ParsedOptions; problems: string[] } {
  const parsed = optionsSchema.safeParse(raw);
  if (parsed.success) return { options: parsed.data, problems: [] };
  const bad = new Set<string>();
  const problems: string[] = [];
  for (const issue of parsed.error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        bad.add(key);
        problems.push(`there is no option "${key}".${didYouMean(key, Object.keys(optionsSchema.shape))}`);
      }
    } else {
      bad.add(String(issue.path[0]));
      problems.push(`option "${issue.path.map(String).join('.')}": ${issue.message}.`);
    }
  }
  const rest = Object.fromEntries(Object.entries(raw).filter(([key]) => !bad.has(key)));
  return { options: optionsSchema.parse(rest), problems };
}

function toSettings(options: ParsedOptions): StepSettings {
  const { when, runId, input, output, retry } = options;
  return {
    subjects: toList(options.subject),
    deliver: options.deliver ?? 'all',
    after: toList(options.after),
    otherwise: options.otherwise ?? false,
    retry,
    timeoutMs: options.timeout,
    concurrency: options.concurrency,
    ackWaitMs: options.ackWait,
    ack: options.ack,
    maxDeliveries: options.maxDeliveries ?? retry.attempts + DELIVERIES_BEYOND_ATTEMPTS,
    ...(options.rate === undefined ? {} : { rate: toRateSettings(options.rate) }),
    ...(when === undefined ? {} : { when }),
    ...(runId === undefined ? {} : { runId }),
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
  };
}

function toList(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function settingsProblems(settings: StepSettings): string[] {
  const problems: string[] = [];
  for (const subject of settings.subjects) {
    const problem = externalSubjectProblem(subject);
    if (problem !== undefined) problems.push(`subject "${subject}" ${problem}.`);
  }
  for (const repeated of repeatedIn(settings.subjects)) problems.push(`subject "${repeated}" is listed twice.`);
  for (const repeated of repeatedIn(settings.after)) problems.push(`"after" lists "${repeated}" twice.`);
  if (settings.subjects.length > 0 && settings.after.length > 0) {
    problems.push('it has both "subject" and "after"; a step is an entry or follows others, so split it in two.');
  }
  if (settings.when !== undefined && settings.otherwise) problems.push('it has both "when" and "otherwise"; use one.');
  if (settings.after.length === 0 && (settings.when !== undefined || settings.otherwise)) {
    problems.push('"when" and "otherwise" choose among the results of a preceding step, but it has no "after".');
  }
  if (settings.runId !== undefined && settings.subjects.length === 0) {
    problems.push('"runId" names the run of an external message, but it has no "subject".');
  }
  if (settings.maxDeliveries < settings.retry.attempts) {
    problems.push(
      `"maxDeliveries" (${settings.maxDeliveries}) is less than the retry policy's attempts (${settings.retry.attempts}).`,
    );
  }
  return problems;
}

function repeatedIn(values: readonly string[]): Set<string> {
  return new Set(values.filter((value, position) => values.indexOf(value) !== position));
}
