import { DecodeError } from '../../common/errors.js';
import { FlowHeader } from '../../common/names.js';
import { AppliedKeys } from './applied-keys.js';
import { KV_OPERATION, MARKER_REASON } from './bucket-layout.js';
import { WriterMarks } from './writer-marks.js';

/** What a stored message and a delivered one have in common, as the client gives headers. */
export interface HeaderSource {
  get(name: string): string;
}

/** One revision of a key as it is stored. */
export interface StoredRevision {
  /** Sequence in the bucket's stream; 0 when the key has no message at all. */
  readonly revision: number;
  /** The value's bytes; absent when there is no entry, or the revision is a deletion. */
  readonly data: Uint8Array | undefined;
  /** When the server stored it. */
  readonly created: Date;
  /** Version of the schema it was written with; 0 when the entry does not say. */
  readonly schemaVersion: number;
  /** As a watch told it. */
  readonly headers?: HeaderSource | undefined;
}

/** What the next write of a key is based on: a revision without its time, with what the store keeps beside the value. */
export interface StoredEntry extends Omit<StoredRevision, 'created' | 'headers'> {
  readonly applied: AppliedKeys;
  readonly writers: WriterMarks;
}

/** An entry as it was read. */
export interface ReadEntry extends StoredEntry, Omit<StoredRevision, 'headers'> {}

/** A message of a bucket's stream, however it was read. */
export interface BucketMessage {
  readonly sequence: number;
  readonly data: Uint8Array;
  readonly time: Date;
  readonly headers: HeaderSource | undefined;
}

const NEVER = new Date(0);

/** What stands for a key without any message. */
export const ABSENT: ReadEntry = {
  revision: 0,
  data: undefined,
  created: NEVER,
  applied: AppliedKeys.NONE,
  writers: WriterMarks.NONE,
  schemaVersion: 0,
};

/** Whether the headers say that the entry was deleted, purged or expired. */
function isDeletion(headers: HeaderSource | undefined): boolean {
  if (headers === undefined) return false;
  const operation = headers.get(KV_OPERATION);
  return operation === 'DEL' || operation === 'PURGE' || headers.get(MARKER_REASON) !== '';
}

/** The revision that a message of the bucket's stream holds. */
export function toRevision(message: BucketMessage): StoredRevision {
  return {
    revision: message.sequence,
    data: isDeletion(message.headers) ? undefined : message.data,
    created: message.time,
    schemaVersion: Number(message.headers?.get(FlowHeader.schemaVersion) ?? '') || 0,
  };
}

/**
 * The entry that a message of the bucket's stream holds.
 *
 * @param where names the entry in errors
 * @throws DecodeError when the headers that only this library writes are damaged.
 */
export function toStoredEntry(where: () => string, message: BucketMessage): ReadEntry {
  const { revision, data, created, schemaVersion } = toRevision(message);
  const writers = WriterMarks.parse(message.headers?.get(FlowHeader.writers) ?? '');
  return { revision, data, created, schemaVersion, applied: parseApplied(where, message.headers), writers };
}

function parseApplied(where: () => string, headers: HeaderSource | undefined): AppliedKeys {
  const hashes = headers?.get(FlowHeader.applied) ?? '';
  if (hashes === '') return AppliedKeys.NONE;
  try {
    return AppliedKeys.parse(hashes, headers?.get(FlowHeader.appliedAt) ?? '');
  } catch (error) {
    const remedy = 'The value itself is whole: put it again with a NATS client, without headers.';
    throw new DecodeError(`${where()}: ${(error as Error).message}. ${remedy}`, { cause: error });
  }
}
