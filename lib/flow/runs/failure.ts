import { create } from '@bufbuild/protobuf';
import { FailureSchema, type Failure } from '../../codec/gen/flow/v1/run_pb.js';
import { describeThrown, textOf } from '../../common/describe-thrown.js';

/** Stored texts are cut here, so that a failure fits beside its message. */
const LONGEST_TEXT = 8_192;
const LONGEST_CHAIN = 8;

/** An error, or whatever else was thrown, as it is stored with a run or a dead letter. Never throws. */
export function toFailure(error: unknown, longestText = LONGEST_TEXT): Failure {
  const shorten = (text: string): string => (text.length <= longestText ? text : `${text.slice(0, longestText)}…`);
  if (!(error instanceof Error)) {
    return create(FailureSchema, { name: typeof error, message: shorten(describeThrown(error)) });
  }
  return create(FailureSchema, {
    name: shorten(textOf(() => error.name)),
    code: shorten(codeOf(error)),
    message: shorten(textOf(() => error.message)),
    stack: shorten(textOf(() => error.stack ?? '')),
    causes: causesOf(error).map(shorten),
  });
}

/** The error that a failure was made from, as far as it is stored. */
export function toError({ name, code, message, stack, causes }: Failure): Error {
  const cause = causes.reduceRight<Error | undefined>((inner, text) => recorded(text, text, inner), undefined);
  return Object.assign(recorded(message, stack === '' ? `${name}: ${message}` : stack, cause), {
    name,
    ...(code !== '' && { code }),
  });
}

/** With the stack of where it was thrown, not of where it was read. */
function recorded(message: string, stack: string, cause: Error | undefined): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { stack });
}

function codeOf(error: Error): string {
  const code = read(() => ('code' in error ? error.code : undefined));
  return typeof code === 'string' || typeof code === 'number' ? String(code) : '';
}

function causesOf(error: Error): string[] {
  const causes: string[] = [];
  let cause = read(() => error.cause);
  while (cause !== undefined && causes.length < LONGEST_CHAIN) {
    causes.push(describeThrown(cause));
    const of = cause;
    cause = of instanceof Error ? read(() => of.cause) : undefined;
  }
  return causes;
}

function read(property: () => unknown): unknown {
  try {
    return property();
  } catch {
    // Anything can be thrown, also an error that throws when it is looked at: it has no such property then.
    return undefined;
  }
}
