import { describe, expect, it } from 'vitest';
import { DeadReason } from '../../../../lib/codec/gen/flow/v1/dead_letter_pb.js';
import {
  ConnectionError,
  DecodeError,
  EncodeError,
  JetStreamRequestError,
  MessageTooLargeError,
  PublishTimeoutError,
  TerminalError,
} from '../../../../lib/common/errors.js';
import { RetryLater } from '../../../../lib/flow/retry-later.error.js';
import { fixed } from '../../../../lib/flow/retry-policy.js';
import { judgeFailure } from '../../../../lib/flow/runtime/step-outcome.js';

const POLICY = fixed(70, { attempts: 3 });

describe('what becomes of a message whose step failed', () => {
  it.each([
    [1, { kind: 'retry', delayMs: 70 }],
    [2, { kind: 'retry', delayMs: 70 }],
    [3, { kind: 'dead', reason: DeadReason.ATTEMPTS_EXHAUSTED }],
    [7, { kind: 'dead', reason: DeadReason.ATTEMPTS_EXHAUSTED }],
  ])('attempt %i of 3', (attempt, outcome) => {
    expect(judgeFailure(new Error('x'), 'handle', attempt, POLICY)).toEqual(outcome);
  });

  it.each([new ConnectionError('gone'), new PublishTimeoutError('a', 1), new JetStreamRequestError('full', 10_077)])(
    'a result that the server did not take is nobody’s failure: $name',
    (error) => {
      for (const [attempt, longest] of [
        [1, 1_000],
        [3, 4_000],
        [99, 60_000],
      ] as const) {
        const outcome = judgeFailure(error, 'commit', attempt, POLICY) as { kind: string; delayMs: number };
        expect(outcome.kind).toBe('retry');
        expect(outcome.delayMs).toBeLessThanOrEqual(longest);
        expect(outcome.delayMs).toBeGreaterThanOrEqual(longest / 2);
      }
      expect(judgeFailure(error, 'handle', 99, POLICY)).toMatchObject({ kind: 'dead' });
    },
  );

  it.each([new EncodeError('no Order'), new MessageTooLargeError('a', 2, 1)])(
    'a result that cannot be stored is dead at once: $name',
    (error) => {
      const outcome = judgeFailure(error, 'commit', 1, POLICY);
      expect(outcome).toEqual({ kind: 'dead', reason: DeadReason.UNDELIVERABLE_RESULT });
      expect(judgeFailure(error, 'handle', 1, POLICY)).toMatchObject({ kind: 'retry' });
    },
  );

  it('bytes that cannot be decoded are dead at once, but not what a handler fails to decode', () => {
    const error = new DecodeError('no Order');
    expect(judgeFailure(error, 'decode', 1, POLICY)).toEqual({ kind: 'dead', reason: DeadReason.UNDECODABLE });
    expect(judgeFailure(error, 'handle', 1, POLICY)).toMatchObject({ kind: 'retry' });
  });

  it('a terminal error is dead at once, wherever it comes from', () => {
    for (const phase of ['decode', 'handle', 'commit'] as const) {
      const outcome = judgeFailure(new TerminalError('no'), phase, 1, POLICY);
      expect(outcome).toEqual({ kind: 'dead', reason: DeadReason.TERMINAL });
    }
  });

  it('RetryLater sets the delay, within what a server can count', () => {
    expect(judgeFailure(new RetryLater(5), 'handle', 1, POLICY)).toEqual({ kind: 'retry', delayMs: 5 });
    const eternal = judgeFailure(new RetryLater(Number.MAX_VALUE), 'handle', 1, POLICY);
    expect(eternal).toMatchObject({ kind: 'retry' });
    expect('delayMs' in eternal && eternal.delayMs * 1_000_000).toBeLessThan(2 ** 63);
  });

  it.each([Number.NaN, Infinity, -1, '5s', undefined, Promise.resolve(1)])(
    'a policy that answers %s has failed, and the default delays hold',
    (decision) => {
      const policy = { attempts: 3, delay: () => decision as number };
      const outcome = judgeFailure(new Error('x'), 'handle', 1, policy);
      expect(outcome).toMatchObject({ kind: 'retry', policyError: expect.any(RangeError) as unknown });
      expect('delayMs' in outcome && outcome.delayMs).toBeGreaterThanOrEqual(500);
    },
  );
});
