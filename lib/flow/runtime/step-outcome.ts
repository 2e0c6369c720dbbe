import { DeadReason } from '../../codec/gen/flow/v1/dead_letter_pb.js';
import {
  ConnectionError,
  DecodeError,
  EncodeError,
  JetStreamRequestError,
  MessageTooLargeError,
  PublishTimeoutError,
  TerminalError,
} from '../../common/errors.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { RetryLater } from '../retry-later.error.js';
import { DEFAULT_RETRY, exponential, type RetryDecision, type RetryPolicy } from '../retry-policy.js';

/** What becomes of a message whose step failed. */
export type FailureOutcome = (
  { readonly kind: 'retry'; readonly delayMs: number } | { readonly kind: 'dead'; readonly reason: DeadReason }
) & {
  /** The policy itself failed, so that the default policy's delay is used. */
  readonly policyError?: unknown;
};

/** How far the step had come when it failed. */
export type StepPhase = 'decode' | 'handle' | 'commit';

/** Waits before a message whose result could not be stored is tried again. */
const STORE_RETRY = exponential('1s', { max: '1m' });
const LONGEST_DELAY_MS = 100 * 365 * 86_400_000;

/**
 * Decides between another attempt and the dead letters.
 *
 * A server that takes nothing is nobody's failure: the message waits, longer each time, however few attempts the
 * policy allows, until its result can be stored or its deliveries are exhausted.
 */
export function judgeFailure(error: unknown, phase: StepPhase, attempt: number, policy: RetryPolicy): FailureOutcome {
  if (phase === 'commit') {
    if (error instanceof EncodeError || error instanceof MessageTooLargeError) {
      return { kind: 'dead', reason: DeadReason.UNDELIVERABLE_RESULT };
    }
    if (isServerTrouble(error)) return toOutcome(STORE_RETRY.delay(error, attempt));
  }
  if (phase === 'decode' && error instanceof DecodeError) return { kind: 'dead', reason: DeadReason.UNDECODABLE };
  if (error instanceof TerminalError) return { kind: 'dead', reason: DeadReason.TERMINAL };
  if (attempt >= policy.attempts) return { kind: 'dead', reason: DeadReason.ATTEMPTS_EXHAUSTED };
  if (error instanceof RetryLater) return { kind: 'retry', delayMs: Math.min(error.delayMs, LONGEST_DELAY_MS) };
  return askPolicy(error, attempt, policy);
}

function askPolicy(error: unknown, attempt: number, policy: RetryPolicy): FailureOutcome {
  try {
    const decision = policy.delay(error, attempt);
    if (decision !== 'dead-letter' && !isDelay(decision)) {
      throw new RangeError(`${describeThrown(decision)} is no delay in milliseconds`);
    }
    return toOutcome(decision);
  } catch (policyError) {
    return { ...toOutcome(DEFAULT_RETRY.delay(error, attempt)), policyError };
  }
}

/** What a server takes as a delay: it counts nanoseconds in 64 bits. */
function isDelay(decision: unknown): boolean {
  return typeof decision === 'number' && decision >= 0 && decision <= LONGEST_DELAY_MS;
}

function toOutcome(decision: RetryDecision): FailureOutcome {
  return decision === 'dead-letter'
    ? { kind: 'dead', reason: DeadReason.ATTEMPTS_EXHAUSTED }
    : { kind: 'retry', delayMs: decision };
}

function isServerTrouble(error: unknown): boolean {
  return (
    error instanceof ConnectionError || error instanceof PublishTimeoutError || error instanceof JetStreamRequestError
  );
}
