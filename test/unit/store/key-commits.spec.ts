import { afterEach, describe, expect, it, vi } from 'vitest';
import { json } from '../../../lib/codec/message-schema.js';
import type { Change } from '../../../lib/store/engine/change.js';
import type { CommitContext } from '../../../lib/store/engine/commit-context.js';
import { KeyCommits } from '../../../lib/store/engine/key-commits.js';
import { PendingOperation, type OperationResult } from '../../../lib/store/engine/pending-operation.js';
import { StateCodec } from '../../../lib/store/engine/state-codec.js';
import { ABSENT, type StoredEntry } from '../../../lib/store/engine/stored-entry.js';
import { OperationTimeoutError, OutcomeUnknownError } from '../../../lib/common/errors.js';
import { until } from '../../support/until.js';
import { ScriptedBucket, type Fate, type Log } from './scripted-bucket.js';

interface Count {
  count: number;
}

const codec = StateCodec.for(json<Count>('Count'), {
  bucket: 'b',
  schemaVersion: 0,
  migrate: undefined,
  maxValueBytes: undefined,
});

/** An operation that looks, and leaves things as they are. */
function look(): PendingOperation<Count, OperationResult<Count>> {
  const change = (): Change<Count> => ({ kind: 'keep' });
  const request = {
    name: 'look',
    key: 'k',
    bucket: 'b',
    answer: (result: OperationResult<Count>) => result,
    change,
    blind: false,
    hash: undefined,
    maxAttempts: 1,
    timeoutMs: 10_000,
  };
  return new PendingOperation({ ...request, signal: undefined }, () => undefined);
}

/** An operation that adds numbers. */
function add(...ids: number[]): PendingOperation<Log> {
  const change = (before: Log = { ids: [] }): Change<Log> => ({
    kind: 'write',
    state: { ids: [...before.ids, ...ids] },
  });
  const details = { blind: false, hash: undefined, maxAttempts: 10, timeoutMs: 10_000, signal: undefined };
  const request = { name: 'add', key: 'k', bucket: 'b', change, answer: (result: unknown) => result, ...details };
  return new PendingOperation<Log>(request, () => undefined);
}

describe('operations that change nothing', () => {
  it('are answered by a read that began after they were asked for', async () => {
    const reads: ((entry: StoredEntry) => void)[] = [];
    const context = {
      bucket: 'b',
      codec,
      backoff: { initialMs: 1, maxMs: 1 },
      rememberMs: 60_000,
      keepsHistory: false,
      recall: () => undefined,
      forget: () => undefined,
      remember: () => undefined,
      read: () => new Promise<StoredEntry>((resolve) => reads.push(resolve)),
      isClosed: () => false,
    } satisfies Partial<CommitContext<Count>> as unknown as CommitContext<Count>;
    const commits = new KeyCommits<Count>(context, () => undefined);
    commits.take('k');
    const stored = (revision: number): StoredEntry => ({
      ...ABSENT,
      revision,
      data: codec.encode('k', { count: revision }),
    });

    const early = look();
    commits.add(early);
    await until(() => reads.length === 1, { what: 'the first read' });
    // The server has answered the read, and others have written since; the answer is still on its way.
    const late = look();
    commits.add(late);
    reads[0]!(stored(1));
    expect((await early.promise).state).toEqual({ count: 1 });
    await until(() => reads.length === 2, { what: 'the second read' });
    reads[1]!(stored(2));
    expect((await late.promise).state).toEqual({ count: 2 });
  });
});

describe('operations that are committed one by one, since one of them makes a value that cannot be stored', () => {
  it('are given up when they are due, also those whose turn has not come', async () => {
    const lost: Fate = { before: [], arrives: 'never', after: [], reply: 'is lost' };
    let requests = 0;
    const bucket = new ScriptedBucket(
      Array.from({ length: 10_000 }, () => lost),
      [],
      (count) => (requests = count),
    );
    const commits = new KeyCommits<Log>(bucket.context(), () => undefined);
    commits.take('k');
    const operations = [add(1), add(...Array.from({ length: 2_000 }, () => 2)), add(3)];
    for (const operation of operations) commits.add(operation);
    const ends = Promise.allSettled(operations.map(({ promise }) => promise));
    // The first of them is sent alone, again and again.
    await until(() => requests > 5, { what: 'the first to be on its way' });
    commits.expire(performance.now() + 20_000);
    expect(operations.map(({ settled }) => settled)).toEqual([true, true, true]);
    const reasons = (await ends).map((end) => (end.status === 'rejected' ? (end.reason as unknown) : end));
    expect(reasons[0]).toBeInstanceOf(OutcomeUnknownError);
    expect(reasons[1]).toBeInstanceOf(OperationTimeoutError);
    expect(reasons[2]).toBeInstanceOf(OperationTimeoutError);
  });
});

describe('the winner of a key that others write too', () => {
  afterEach(() => vi.restoreAllMocks());

  it('steps back for as long as they need to read and write', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.99);
    const ROUND_TRIP_MS = 20;
    let requests = 0;
    const bucket = new ScriptedBucket(
      [{ before: ['store'], arrives: 'now', after: [], reply: 'comes' }],
      [],
      (count) => {
        requests = count;
        return new Promise((resolve) => setTimeout(resolve, ROUND_TRIP_MS));
      },
    );
    const commits = new KeyCommits<Log>(bucket.context(), () => undefined);
    commits.take('k');
    const [first, second, third] = [add(1), add(2), add(3)];
    commits.add(first);
    // It loses once, reads, and wins: from now on the key is known for that.
    await first.promise;
    commits.add(second);
    const before = requests;
    await until(() => requests === before + 1, { what: 'the second write' });
    commits.add(third);
    await second.promise;
    const settled = performance.now();
    await third.promise;
    // Its own write takes one round trip of that.
    expect(performance.now() - settled).toBeGreaterThan(2.5 * ROUND_TRIP_MS);
    expect(bucket.ids('k')).toEqual([-1, 1, 2, 3]);
  });
});
