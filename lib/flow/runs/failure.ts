import { create } from '@bufbuild/protobuf';
import { FailureSchema, type Failure } from '../../codec/gen/flow/v1/run_pb.js';

/** Stored texts are cut here, so that a failure always fits beside its message. */
const LONGEST_TEXT = 8_192;
const LONGEST_CHAIN = 8;

/** An error, or whatever else was thrown, as it is stored with a run or a dead letter. */
export function toFailure(error: unknown): Failure {
  if (!(error instanceof Error))
    return create(FailureSchema, { name: typeof error, message: shorten(describe(error)) });
  return create(FailureSchema, {
    name: error.name,
    code: codeOf(error),
    message: shorten(error.message),
    stack: shorten(error.stack ?? ''),
    causes: causesOf(error),
  });
}

function codeOf(error: Error): string {
  const code: unknown = 'code' in error ? error.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? String(code) : '';
}

function causesOf(error: Error): string[] {
  const causes: string[] = [];
  let cause = error.cause;
  while (cause !== undefined && causes.length < LONGEST_CHAIN) {
    causes.push(shorten(describe(cause)));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}

function describe(thrown: unknown): string {
  if (thrown instanceof Error) return `${thrown.name}: ${thrown.message}`;
  if (typeof thrown === 'object' && thrown !== null) return Object.prototype.toString.call(thrown);
  return String(thrown);
}

function shorten(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}
