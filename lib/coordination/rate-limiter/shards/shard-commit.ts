import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { DecodeError } from '../../../common/errors.js';

/**
 * A key with its state, `undefined`: none any more. The state is left in its bytes, as text of one byte per character: of the thousands that are
 * known at a time few are looked at, and a text is a single small object.
 */
export type KeyedState = readonly [key: string, state: string | undefined];

/** What one message of a shard says: `flow.v1.RateLimitShard`. */
export interface ShardCommit {
  /** Revision of the shard's message before; 0: there was none. */
  readonly previous: number;
  readonly number: number;
  /** Number of shards of whoever wrote it. */
  readonly shards: number;
  readonly keys: readonly KeyedState[];
  /** From `previous` to the message before it, from that to the one before, and so on. */
  readonly gaps: readonly number[];
}

/** Revisions of the shard's messages before the one of this commit, the latest first, as far as it knows them. */
export function revisionsBefore({ previous, gaps }: Pick<ShardCommit, 'previous' | 'gaps'>): number[] {
  if (previous === 0) return [];
  const revisions = [previous];
  for (const gap of gaps) revisions.push((revisions.at(-1) ?? 0) - gap);
  return revisions;
}

/** Field numbers of `RateLimitShard`. */
const PREVIOUS = 1;
const NUMBER = 2;
const SHARDS = 3;
const KEYS = 4;
const GAPS = 5;
/** Field numbers of `RateLimitKey`. */
const KEY = 1;
const STATE = 2;
const FIRST_ROOM = 65_536;
/** Bytes of the longest number. */
const LONGEST_NUMBER = 8;

/**
 * Writes messages, one at a time, in Protobuf's wire format, into memory that all of them share: a shard's message has some
 * dozens of keys, and Protobuf-ES would make several objects of each.
 */
export class ShardCommitWriter {
  private bytes = Buffer.allocUnsafeSlow(FIRST_ROOM);
  private position = 0;

  begin({ previous, number, shards }: Omit<ShardCommit, 'keys' | 'gaps'>): void {
    this.position = 0;
    this.field(PREVIOUS, previous);
    this.field(NUMBER, number);
    this.field(SHARDS, shards);
  }

  key(key: string, state: string | undefined): void {
    const keyLength = Buffer.byteLength(key);
    const stateLength = state === undefined ? 0 : 1 + lengthOf(state.length) + state.length;
    // As Protobuf does: nothing is said of an empty text.
    const length = (keyLength === 0 ? 0 : 1 + lengthOf(keyLength) + keyLength) + stateLength;
    this.reserve(length + 1 + LONGEST_NUMBER);
    this.open(KEYS, length);
    if (keyLength > 0) {
      this.open(KEY, keyLength);
      this.position += this.bytes.write(key, this.position, 'utf8');
    }
    if (state === undefined) return;
    this.open(STATE, state.length);
    this.position += this.bytes.write(state, this.position, 'latin1');
  }

  gaps(gaps: readonly number[]): void {
    if (gaps.length === 0) return;
    const length = gaps.reduce((sum, gap) => sum + lengthOf(gap), 0);
    this.reserve(length + 1 + LONGEST_NUMBER);
    this.open(GAPS, length);
    for (const gap of gaps) this.varint(gap);
  }

  /** What was written since {@link begin}, in memory of its own. */
  finish(): Uint8Array {
    return Buffer.from(this.bytes.subarray(0, this.position));
  }

  private field(field: number, value: number): void {
    if (value === 0) return;
    this.bytes[this.position++] = (field << 3) | WireType.Varint;
    this.varint(value);
  }

  private open(field: number, length: number): void {
    this.bytes[this.position++] = (field << 3) | WireType.LengthDelimited;
    this.varint(length);
  }

  /** Seven bits a byte, the lowest first. Of whole numbers up to 2^53, which bit operations would cut off. */
  private varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.position++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.position++] = rest;
  }

  private reserve(length: number): void {
    if (this.position + length <= this.bytes.length) return;
    const more = Buffer.allocUnsafeSlow(2 * (this.position + length));
    this.bytes.copy(more, 0, 0, this.position);
    this.bytes = more;
  }
}

/** Bytes of a number. */
function lengthOf(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

/** The commit of a message. @throws DecodeError when it is none. */
export function decodeShardCommit(data: Uint8Array): ShardCommit {
  try {
    return readCommit(new BinaryReader(data));
  } catch (error) {
    throw new DecodeError(`${data.byteLength} bytes are no flow.v1.RateLimitShard`, { cause: error });
  }
}

function readCommit(reader: BinaryReader): ShardCommit {
  let previous = 0;
  let number = 0;
  let shards = 0;
  const keys: KeyedState[] = [];
  const gaps: number[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === PREVIOUS) previous = Number(reader.uint64());
    else if (field === NUMBER) number = Number(reader.uint64());
    else if (field === SHARDS) shards = reader.uint32();
    else if (field === KEYS) keys.push(readKey(new BinaryReader(reader.bytes())));
    else if (field === GAPS) gaps.push(...readGaps(reader, type));
    else reader.skip(type, field);
  }
  // Nobody writes that; it is what bytes of something else, or none at all, look like.
  if (shards === 0) throw new Error('The number of shards is missing.');
  return { previous, number, shards, keys, gaps };
}

/** In one piece as everybody writes them, or one by one, as Protobuf allows. */
function readGaps(reader: BinaryReader, type: WireType): number[] {
  if (type === WireType.Varint) return [Number(reader.uint64())];
  const packed = new BinaryReader(reader.bytes());
  const gaps: number[] = [];
  while (packed.pos < packed.len) gaps.push(Number(packed.uint64()));
  return gaps;
}

function readKey(reader: BinaryReader): KeyedState {
  let key = '';
  let state: string | undefined;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === KEY) key = readText(reader);
    else if (field === STATE) state = asText(reader.bytes());
    else reader.skip(type, field);
  }
  return [key, state];
}

/** A text as it was written; `reader.string()` would drop a byte order mark at its beginning, which makes another key of it. */
function readText(reader: BinaryReader): string {
  const { buffer, byteOffset, byteLength } = reader.bytes();
  return Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
}

/** Bytes as text of one byte per character. */
function asText({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
}
