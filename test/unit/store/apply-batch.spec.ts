import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { json } from '../../../lib/codec/message-schema.js';
import { applyBatch } from '../../../lib/store/engine/apply-batch.js';
import { AppliedKeys, hashIdempotencyKey } from '../../../lib/store/engine/applied-keys.js';
import type { Change } from '../../../lib/store/engine/change.js';
import { PendingOperation } from '../../../lib/store/engine/pending-operation.js';
import { StateCodec } from '../../../lib/store/engine/state-codec.js';
import { ABSENT, type StoredEntry } from '../../../lib/store/engine/stored-entry.js';

interface Numbers {
  values: number[];
}

type Step =
  | { readonly kind: 'push'; readonly value: number; readonly once: number | undefined }
  | { readonly kind: 'spoil and throw' }
  | { readonly kind: 'replace'; readonly value: number }
  | { readonly kind: 'spoil and keep' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'purge' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('push' as const),
      value: fc.nat(99),
      once: fc.option(fc.nat(5), { nil: undefined }),
    }),
    fc.constant({ kind: 'spoil and throw' as const }),
    fc.record({ kind: fc.constant('replace' as const), value: fc.nat(99) }),
    fc.constant({ kind: 'spoil and keep' as const }),
    fc.constant({ kind: 'remove' as const }),
    fc.constant({ kind: 'purge' as const }),
  ),
  { maxLength: 40 },
);

const codec = StateCodec.for(json<Numbers>('Numbers'), {
  bucket: 'b',
  schemaVersion: 0,
  migrate: undefined,
  maxValueBytes: undefined,
});

function change(step: Step): (before: Numbers | undefined) => Change<Numbers> {
  return (before) => {
    const draft = before ?? { values: [] };
    switch (step.kind) {
      case 'push':
        draft.values.push(step.value);
        return { kind: 'write', state: draft };
      case 'spoil and throw':
        draft.values.length = 0;
        throw new Error('spoiled');
      case 'replace':
        return { kind: 'write', state: { values: [step.value] } };
      case 'spoil and keep':
        draft.values.push(-1);
        return { kind: 'keep' };
      case 'remove':
        return { kind: 'remove', purge: false };
      case 'purge':
        return { kind: 'remove', purge: true };
    }
  };
}

function isBlind({ kind }: Step): boolean {
  return kind === 'remove' || kind === 'purge';
}

function operation(step: Step): PendingOperation<Numbers> {
  const once = step.kind === 'push' ? step.once : undefined;
  return new PendingOperation(
    {
      name: step.kind,
      key: 'k',
      bucket: 'b',
      answer: (result) => result,
      change: change(step),
      blind: isBlind(step),
      hash: once === undefined ? undefined : hashIdempotencyKey(String(once)),
      maxAttempts: 1,
      timeoutMs: 1_000,
      signal: undefined,
    },
    () => undefined,
  );
}

interface ModelOutcome {
  readonly values: readonly number[] | undefined;
  readonly existed: boolean;
  readonly duplicate: boolean;
}

const REMEMBER_MS = 60_000;

/** The keys that an entry has of some time ago, and of just now. */
function appliedOf(forgotten: readonly number[], applied: readonly number[]): AppliedKeys {
  const limits = { count: 100, ageMs: 1e9 };
  const hashes = (numbers: readonly number[]): Buffer[] => numbers.map((number) => hashIdempotencyKey(String(number)));
  const old = AppliedKeys.NONE.with(hashes(forgotten), { ...limits, ageMs: 1 }, Date.now() - 10 * REMEMBER_MS);
  return old.with(hashes(applied), { ...limits, ageMs: REMEMBER_MS * 20 });
}

/** What the steps come to one after the other, by values that are never changed in place. */
function model(
  initial: readonly number[] | undefined,
  applied: readonly number[],
  all: readonly Step[],
  keepsHistory: boolean,
) {
  let values = initial;
  let changed = false;
  let purged = false;
  const used = new Set(applied);
  const hashes: Buffer[] = [];
  const outcomes = all.map((step): ModelOutcome | 'spoiled' => {
    if (step.kind === 'spoil and throw') return 'spoiled';
    const existed = values !== undefined;
    const duplicate = step.kind === 'push' && step.once !== undefined && used.has(step.once);
    if (step.kind === 'push' && !duplicate) {
      if (step.once !== undefined) {
        used.add(step.once);
        hashes.push(hashIdempotencyKey(String(step.once)));
      }
      values = [...(values ?? []), step.value];
      changed = true;
    }
    if (step.kind === 'replace') {
      values = [step.value];
      changed = true;
    }
    if (isBlind(step) && values !== undefined) {
      values = undefined;
      changed = true;
      purged ||= step.kind === 'purge';
    }
    if (step.kind === 'purge' && keepsHistory) changed = purged = true;
    return { values, existed, duplicate };
  });
  return { values, changed, purged, outcomes, hashes };
}

describe('a batch of operations', () => {
  it('comes to what its operations come to one after the other', () => {
    const initials = fc.option(fc.array(fc.nat(99), { maxLength: 5 }), { nil: undefined });
    const numbers = fc.uniqueArray(fc.nat(5), { maxLength: 3 });
    fc.assert(
      fc.property(initials, numbers, numbers, steps, fc.boolean(), (initial, forgotten, known, all, keepsHistory) => {
        const data = initial === undefined ? undefined : codec.encode('k', { values: [...initial] });
        const base: StoredEntry = { ...ABSENT, revision: 7, data, applied: appliedOf(forgotten, known) };
        const before = data?.slice();
        const context = { rememberMs: REMEMBER_MS, keepsHistory };
        const applied = applyBatch(codec, 'k', base, all.map(operation), context);
        const expected = model(initial, known, all, keepsHistory);

        const outcomes = applied.outcomes.map((outcome) =>
          'error' in outcome
            ? 'spoiled'
            : {
                values: outcome.result.state?.values,
                existed: outcome.result.existed,
                duplicate: outcome.result.duplicate,
              },
        );
        // A remove does not look at the state, and what is kept by it is not told.
        const told = expected.outcomes.map((outcome, index) =>
          outcome !== 'spoiled' && isBlind(all[index]!) ? { ...outcome, values: undefined } : outcome,
        );
        expect(outcomes).toEqual(told);
        expect(applied.hashes).toEqual(expected.hashes);
        expect(applied.write !== undefined).toBe(expected.changed);
        expect(applied.write?.purge ?? false).toBe(expected.purged);
        if (applied.write?.kind === 'value') expect(applied.write.state.values).toEqual(expected.values);
        if (applied.write?.kind === 'deletion') expect(expected.values).toBeUndefined();
        expect(data).toEqual(before);
        const states = applied.outcomes.flatMap((outcome) => ('result' in outcome && outcome.result.state) || []);
        expect(new Set(states).size).toBe(states.length);
      }),
      { numRuns: 500 },
    );
  });
});
