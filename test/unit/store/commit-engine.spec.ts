import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CancelledError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import type { Change } from '../../../lib/store/engine/change.js';
import { OperationQueue } from '../../../lib/store/engine/operation-queue.js';
import type { OperationResult } from '../../../lib/store/engine/pending-operation.js';
import { ScriptedBucket, type Fate, type Log } from './scripted-bucket.js';

const KEYS = ['one', 'two'] as const;

interface Step {
  readonly key: (typeof KEYS)[number];
  /** `abort`: its reducer aborts its own signal. */
  readonly kind: 'add' | 'look' | 'throw' | 'overflow' | 'abort';
  /** Number of its idempotency key. */
  readonly once: number | undefined;
  /** It is cancelled during this request of all. */
  readonly cancelAt: number | undefined;
  readonly maxAttempts: number;
  /** What it comes after: nothing, a turn of the event loop, or the end of all before it. */
  readonly after: 'nothing' | 'a turn' | 'all';
}

const often = <T>(value: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, ...others.map((other) => fc.constant(other)));

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    key: fc.constantFrom(...KEYS),
    kind: often<Step['kind']>('add', 'look', 'throw', 'overflow', 'abort'),
    once: fc.option(fc.nat(2), { nil: undefined }),
    cancelAt: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined, freq: 3 }),
    maxAttempts: fc.constantFrom(1, 3, 1_000),
    after: fc.constantFrom('nothing', 'nothing', 'a turn', 'all'),
  }),
  { minLength: 1, maxLength: 15 },
);

const others = fc.array(fc.constantFrom('store' as const, 'client' as const), { maxLength: 3 });

const fates: fc.Arbitrary<Fate[]> = fc.array(
  fc.record({
    before: fc.oneof(fc.constant([]), others),
    arrives: often<Fate['arrives']>('now', 'late', 'never'),
    after: fc.oneof(fc.constant([]), others),
    reply: fc.constantFrom<Fate['reply'][]>('comes', 'comes', 'is lost', 'is lost', 'is a refusal', 'is refused again'),
  }),
  { maxLength: 12 },
);

const TOO_MANY = Array.from({ length: 2_000 }, () => 1_000_000);

function changeOf(kind: Step['kind'], id: number, own: AbortController): (before: Log | undefined) => Change<Log> {
  return (before) => {
    const draft = before ?? { ids: [] };
    if (kind === 'look') return { kind: 'keep' };
    draft.ids.push(id);
    if (kind === 'abort') own.abort();
    if (kind === 'throw') throw new RangeError('refused');
    if (kind === 'overflow') draft.ids.push(...TOO_MANY);
    return { kind: 'write', state: draft };
  };
}

type Outcome = { readonly result: OperationResult<Log> } | { readonly error: unknown };

function outcomeOf(promise: Promise<OperationResult<Log>>): Promise<Outcome> {
  return promise.then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
}

async function run(all: readonly Step[], script: readonly Fate[], failing: readonly boolean[], guesses: boolean) {
  const cancels = all.map(() => new AbortController());
  const bucket = new ScriptedBucket([...script], [...failing], (count) => {
    all.forEach(({ cancelAt }, index) => {
      if (cancelAt === count) cancels[index]!.abort();
    });
  });
  const limits = { maxQueued: 1_000, maxAttempts: 1_000, timeoutMs: 20_000, entryTtl: false };
  const queue = new OperationQueue<Log>(bucket.context(guesses), limits, () => undefined);
  const started: Promise<Outcome>[] = [];
  for (const [index, { key, kind, once, maxAttempts, after }] of all.entries()) {
    if (after === 'a turn') await new Promise((resolve) => setImmediate(resolve));
    if (after === 'all') await Promise.all(started);
    const options = {
      signal: cancels[index]!.signal,
      maxAttempts,
      ...(once !== undefined && { idempotencyKey: `${once}` }),
    };
    started.push(
      outcomeOf(queue.run('change', key, changeOf(kind, index, cancels[index]!), options, (result) => result)),
    );
  }
  const outcomes = await Promise.all(started);
  await queue.close();
  return { bucket, outcomes, left: queue.size };
}

/** Whether the error leaves it open what became of the operation. */
function isOpen(error: unknown): boolean {
  return (
    error instanceof OutcomeUnknownError || (error instanceof CancelledError && /perhaps applied/.test(error.message))
  );
}

const times = (ids: readonly number[], id: number): number => ids.filter((one) => one === id).length;

describe('the commit engine', () => {
  it('applies each operation once and in one order, whatever happens to its writes', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, fates, fc.array(fc.boolean(), { maxLength: 8 }), fc.boolean(), async (...given) => {
        const [all] = given;
        const { bucket, outcomes, left } = await run(...given);
        expect(left).toBe(0);
        for (const [index, outcome] of outcomes.entries()) {
          const { key, kind, once } = all[index]!;
          const ids = bucket.ids(key);
          const found = times(ids, index);
          expect(found).toBeLessThanOrEqual(1);
          if (kind !== 'add') expect(found).toBe(0);
          if ('error' in outcome) {
            if (!isOpen(outcome.error)) expect(found).toBe(0);
            continue;
          }
          const { state, duplicate, existed } = outcome.result;
          const seen = state?.ids ?? [];
          // What it was told is a beginning of what was applied: one order for all.
          expect(ids.slice(0, seen.length)).toEqual(seen);
          expect(state === undefined).toBe(!existed && (kind !== 'add' || duplicate));
          if (duplicate) {
            const applied = seen.filter((id) => all[id]?.key === key && all[id].once === once);
            expect(applied.length).toBeGreaterThan(0);
          } else if (kind === 'add') expect(seen.at(-1)).toBe(index);
        }
        for (const key of KEYS) {
          if (bucket.replaced.has(key)) continue;
          for (const once of [0, 1, 2]) {
            const applied = bucket.ids(key).filter((id) => all[id]?.once === once);
            expect(applied.length).toBeLessThanOrEqual(1);
          }
        }
      }),
      { numRuns: 400 },
    );
  });
});
