import { ConfigurationError } from '../../common/errors.js';
import type { Change } from './change.js';
import type { EntryCodec } from './entry-codec.js';
import type { OperationResult, PendingOperation } from './pending-operation.js';
import type { StoredEntry } from './stored-entry.js';

/** What became of one operation of a batch; valid only once the batch is committed. */
export type Applied<State> =
  | { readonly operation: PendingOperation<State>; readonly result: OperationResult<State> }
  | { readonly operation: PendingOperation<State>; readonly error: unknown };

/** What a batch comes to: the outcome of each operation, and what has to be written for them to hold. */
export interface AppliedBatch<State> {
  readonly outcomes: readonly Applied<State>[];
  /** `undefined`: nothing changed. */
  readonly write:
    | {
        readonly kind: 'value';
        readonly state: State;
        readonly ttlMs: number | undefined;
        /** Schema version of the state that it was made from; 0 when it was made from none. */
        readonly madeFrom: number;
        /** Drops the history behind it: one of the operations before it was a purge. */
        readonly purge: boolean;
      }
    | { readonly kind: 'deletion'; readonly purge: boolean }
    | undefined;
  /** Hashes of the idempotency keys that the write applies. */
  readonly hashes: readonly Buffer[];
}

const KEEP = { kind: 'keep' } as const;
const NO_HASHES: readonly Buffer[] = [];

/** A state that copies are taken of, never handed out itself before the commit. */
type Source<State> = { readonly bytes: Uint8Array } | { readonly state: State } | undefined;

/**
 * Applies `operations` in order to the state of `base`. Each works on a copy of its own: what an operation that throws
 * has changed is gone, and each caller gets the state as it was right after its own operation.
 * Never throws: bytes that do not decode are the error of each operation that wants to see the state.
 *
 * @param context how long an idempotency key counts, and whether the bucket keeps older revisions
 */
export function applyBatch<State>(
  codec: EntryCodec<State>,
  key: string,
  base: StoredEntry,
  operations: readonly PendingOperation<State>[],
  { rememberMs, keepsHistory }: { readonly rememberMs: number; readonly keepsHistory: boolean },
): AppliedBatch<State> {
  let source: Source<State> = base.data === undefined ? undefined : { bytes: base.data };
  let write: AppliedBatch<State>['write'];
  let madeFrom = base.data === undefined ? 0 : base.schemaVersion;
  let purge = false;
  /** Behind what was deleted before, there may be revisions to purge. */
  const mayHideHistory = keepsHistory && base.revision > 0;
  // Of the right length at once: most batches are of one operation, and a list that grows takes room for many.
  const outcomes = new Array<Applied<State>>(operations.length);
  let hashes: Buffer[] | undefined;
  let added: Set<string> | undefined;

  for (const [index, operation] of operations.entries()) {
    const { change, blind, hash, ttlMs } = operation.request;
    const existed: boolean = source !== undefined;
    try {
      const duplicate =
        hash !== undefined && (base.applied.has(hash, rememberMs) || added?.has(hash.toString('latin1')) === true);
      const changed: Change<State> = duplicate ? KEEP : change(blind ? undefined : copyOf(codec, key, base, source));
      if (changed.kind === 'write') {
        const state: State = changed.state;
        assertSynchronous(state);
        source = { state };
        if (blind) madeFrom = 0;
        write = { kind: 'value', state, ttlMs, madeFrom, purge };
        outcomes[index] = { operation, result: { state, existed, duplicate, revision: undefined } };
      } else if (changed.kind === 'remove' && (existed || (changed.purge && mayHideHistory))) {
        source = undefined;
        madeFrom = 0;
        purge ||= changed.purge;
        write = { kind: 'deletion', purge };
        outcomes[index] = { operation, result: { state: undefined, existed, duplicate, revision: undefined } };
      } else {
        // A new copy: the draft may have been changed before it was decided to keep things as they are.
        const state: State | undefined = blind ? undefined : copyOf(codec, key, base, source);
        outcomes[index] = { operation, result: { state, existed, duplicate, revision: undefined } };
        continue;
      }
    } catch (error) {
      outcomes[index] = { operation, error };
      continue;
    }
    if (hash === undefined) continue;
    (hashes ??= []).push(hash);
    (added ??= new Set()).add(hash.toString('latin1'));
  }
  return { outcomes, write, hashes: hashes ?? NO_HASHES };
}

/** Tells the callers what became of their operations, once the batch is committed, at that revision. */
export function settle<State>(outcomes: readonly Applied<State>[], revision: number | undefined): void {
  for (const outcome of outcomes) {
    if ('error' in outcome) {
      outcome.operation.reject(outcome.error);
      continue;
    }
    outcome.result.revision = revision;
    outcome.operation.resolve(outcome.result);
  }
}

function copyOf<State>(
  codec: EntryCodec<State>,
  key: string,
  base: StoredEntry,
  source: Source<State>,
): State | undefined {
  if (source === undefined) return undefined;
  return 'bytes' in source ? codec.decode(key, base, source.bytes) : codec.copy(source.state);
}

function assertSynchronous(state: unknown): void {
  if (typeof (state as { then?: unknown } | null | undefined)?.then !== 'function') return;
  throw new ConfigurationError('KvReducer', [
    'the function that changes the state returned a promise; it must be synchronous. Await first, then update with the outcome as input',
  ]);
}
