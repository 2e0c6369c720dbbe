import { expect, it } from 'vitest';
import { EncodeError, OperationTimeoutError } from '../../../../lib/common/errors.js';
import type { RateLimitState } from '../../../../lib/codec/gen/flow/v1/rate_limit_pb.js';
import { DecisionQueue } from '../../../../lib/coordination/rate-limiter/decision-queue.js';
import type { StatesChange } from '../../../../lib/coordination/rate-limiter/limit-states.js';
import { Quota } from '../../../../lib/coordination/rate-limiter/quota.js';

const quota = new Quota([{ name: 'default', algorithm: 'fixed-window', limit: 2, windowMs: 60_000, burst: 2 }]);
const one = (available: number): number => (available >= 1 ? 1 : 0);
const taken = ({ taken: units }: { readonly taken: number }): number => units;

/** States of keys in this process; keys of one lane begin with the same letter. */
class Lanes {
  readonly states = new Map<string, RateLimitState>();
  readonly changes: string[][] = [];
  /** Asked before each change is made. */
  before: (keys: readonly string[]) => Promise<void> = () => Promise.resolve();

  laneOf(key: string): string {
    return key.charAt(0);
  }

  async change(_lane: string, change: StatesChange): Promise<void> {
    const asked: string[] = [];
    const drafts = new Map<string, RateLimitState>();
    change({
      get: (key) => {
        asked.push(key);
        return this.states.get(key);
      },
      put: (key, state) => drafts.set(key, state),
    });
    this.changes.push(asked);
    await this.before(asked);
    for (const [key, state] of drafts) this.states.set(key, state);
  }
}

function queueOn(lanes: Lanes, timeoutMs = 60_000): DecisionQueue {
  return new DecisionQueue(quota, () => 1_000, lanes, timeoutMs);
}

it('makes the decisions of a lane together, each key by its own state', async () => {
  const lanes = new Lanes();
  const queue = queueOn(lanes);
  const asked = ['a1', 'b1', 'a2', 'a1', 'a1'].map((key) => queue.ask(key, one, taken));
  expect(await Promise.all(asked)).toEqual([1, 1, 1, 1, 0]);
  expect(lanes.changes).toEqual([['a1', 'a2'], ['b1']]);
});

it('halves what does not fit, and refuses only what does not fit alone', async () => {
  const lanes = new Lanes();
  const tooMuch = new EncodeError('too much');
  lanes.before = (keys) => (keys.length > 2 || keys.includes('a3') ? Promise.reject(tooMuch) : Promise.resolve());
  const queue = queueOn(lanes);
  const asked = await Promise.allSettled(['a0', 'a1', 'a2', 'a4', 'a3'].map((key) => queue.ask(key, one, taken)));
  expect(asked.map((end) => (end.status === 'fulfilled' ? end.value : (end.reason as unknown)))).toEqual([
    1,
    1,
    1,
    1,
    tooMuch,
  ]);
});

it('goes on when an answer cannot be made', async () => {
  const queue = queueOn(new Lanes());
  const broken = new Error('broken');
  const fails = queue.ask('a1', one, () => {
    throw broken;
  });
  const others = [queue.ask('a1', one, taken), queue.ask('a2', one, taken)];
  await expect(fails).rejects.toBe(broken);
  expect(await Promise.all(others)).toEqual([1, 1]);
  expect(await queue.ask('a3', one, taken)).toBe(1);
});

it('gives up who has waited for a decision that ran out of time as long as that', async () => {
  const lanes = new Lanes();
  const late = new OperationTimeoutError('modify', 0);
  let fail: (error: Error) => void = () => undefined;
  const first = new Promise<void>((_, reject) => (fail = reject));
  lanes.before = () => first;
  const queue = queueOn(lanes, 0);
  const ends = [queue.ask('a1', one, taken)];
  await Promise.resolve();
  ends.push(queue.ask('a1', one, taken), queue.ask('a2', one, taken));
  fail(late);
  const settled = await Promise.allSettled(ends);
  expect(settled.map((end) => (end as PromiseRejectedResult).reason as unknown)).toEqual([
    late,
    expect.any(OperationTimeoutError),
    expect.any(OperationTimeoutError),
  ]);
  expect(lanes.changes).toEqual([['a1']]);
  await queue.drain();
});

it('is drained when the last of those who wait has an answer', async () => {
  const lanes = new Lanes();
  const queue = queueOn(lanes);
  const order: string[] = [];
  const first = queue.ask('a1', one, taken).then(() => {
    order.push('first');
    return queue.ask('a1', one, taken).then(() => order.push('second'));
  });
  const drained = queue.drain().then(() => order.push('drained'));
  await Promise.all([first, drained]);
  expect(order[0]).toBe('first');
  expect(order).toContain('drained');
});
