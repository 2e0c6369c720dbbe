import { createHash } from 'node:crypto';
import { json } from '../../../lib/codec/message-schema.js';
import type { KvReducer } from '../../../lib/store/engine/kv-reducer.js';
import { findLinearization, type ObservedOperation, type Verdict } from '../../support/linearizable.js';

/** A state that says which operations made it, in which order. */
export interface Chain {
  count: number;
  /** Hash over all operations since the chain began. */
  hash: string;
  /** The latest of them. */
  latest: string[];
}

export const ChainSchema = json<Chain>('Chain');
const EMPTY_CHAIN: Chain = { count: 0, hash: '', latest: [] };
const LATEST = 12;

/** Adds the operation's id to the chain. */
export class Chains implements KvReducer<Chain, string, { id: string }> {
  key({ id }: { id: string }): string {
    return id;
  }
  empty(): Chain {
    return { ...EMPTY_CHAIN, latest: [] };
  }
  apply(state: Chain, id: string): Chain {
    return extended(state, id);
  }
}

/** What a worker tells of one operation. */
export interface ChainRecord {
  readonly id: string;
  readonly kind: 'add' | 'again' | 'read' | 'keep' | 'delete' | 'reset';
  readonly key: string;
  /** Monotonic clock of the machine, in milliseconds. */
  readonly invoked: number;
  readonly returned: number;
  /** `failed`: certainly not applied. `unknown`: nobody can tell. */
  readonly outcome: 'done' | 'failed' | 'unknown';
  /** The chain after it; absent when there is none. */
  readonly chain?: Chain | undefined;
  /** Whether `delete` found an entry. */
  readonly existed?: boolean;
  /** Why it did not end well. */
  readonly error?: string;
}

/** The key's entry, and which ids the store must not apply again. */
interface Model {
  readonly chain: Chain | undefined;
  readonly applied: ReadonlySet<string>;
}

/** Whether some order of one key's operations explains what the callers got. */
export function checkHistory(records: readonly ChainRecord[]): Verdict {
  const seen = predecessors(records);
  const operations = records
    .filter(({ outcome }) => outcome !== 'failed')
    .map((record): ObservedOperation<Model> => ({
      what: `${record.kind} ${record.id} (${record.outcome}) [${record.invoked.toFixed(2)}, ${record.returned.toFixed(2)}] ${JSON.stringify(record.chain ?? record.existed)}`,
      invoked: record.invoked,
      returned: record.outcome === 'done' ? record.returned : Infinity,
      apply: (model) => apply(model, record, seen),
    }));
  // Which ids were applied follows from the operations that are placed.
  const describe = ({ chain }: Model): string => (chain === undefined ? 'none' : chain.hash);
  return findLinearization<Model>(operations, { chain: undefined, applied: new Set() }, describe);
}

function apply(
  model: Model,
  record: ChainRecord,
  seen: ReadonlyMap<string, string | undefined>,
): { state: Model } | undefined {
  const { kind, id, outcome } = record;
  const { chain } = model;
  const isSure = outcome === 'done';
  switch (kind) {
    case 'read':
    case 'keep':
      return isSame(record.chain, chain) ? { state: model } : undefined;
    case 'delete':
      if (isSure && record.existed !== (chain !== undefined)) return undefined;
      return { state: { ...model, chain: undefined } };
    case 'reset':
      return { state: { ...model, chain: EMPTY_CHAIN } };
    case 'add':
    case 'again': {
      if (kind === 'again' && model.applied.has(id)) {
        // The present state; the empty one when the entry was deleted since.
        return !isSure || isSame(record.chain, chain ?? EMPTY_CHAIN) ? { state: model } : undefined;
      }
      if (!isSure && !isPossible(record, chain, seen)) return undefined;
      const next = extended(chain ?? EMPTY_CHAIN, id);
      if (isSure && !isSame(record.chain, next)) return undefined;
      return { state: { chain: next, applied: kind === 'again' ? new Set([...model.applied, id]) : model.applied } };
    }
  }
}

/**
 * Of an operation whose outcome nobody knows: whether it can have taken effect here. One that somebody saw stands after its
 * predecessor. One that nobody saw was deleted or reset at once, which counts when there was no entry before it, or when it
 * was to be repeated.
 */
function isPossible(
  { id, kind }: ChainRecord,
  chain: Chain | undefined,
  seen: ReadonlyMap<string, string | undefined>,
): boolean {
  if (!seen.has(id)) return kind === 'again' || chain === undefined;
  const before = seen.get(id);
  return before === undefined || before === (chain?.latest.at(-1) ?? '');
}

/** For each id that somebody saw: the id before it, `''` when it began the chain, `undefined` when that was cut off. */
function predecessors(records: readonly ChainRecord[]): Map<string, string | undefined> {
  const before = new Map<string, string | undefined>();
  for (const { chain } of records) {
    for (const [index, id] of chain?.latest.entries() ?? []) {
      const known = chain?.latest[index - 1] ?? (chain?.latest.length === chain?.count ? '' : undefined);
      before.set(id, known ?? before.get(id));
    }
  }
  return before;
}

function extended({ count, hash, latest }: Chain, id: string): Chain {
  return {
    count: count + 1,
    hash: createHash('sha1').update(`${hash} ${id}`).digest('base64url').slice(0, 16),
    latest: [...latest, id].slice(-LATEST),
  };
}

function isSame(a: Chain | undefined, b: Chain | undefined): boolean {
  return a?.count === b?.count && a?.hash === b?.hash;
}
