import {
  RateLimitStateSchema,
  type FixedWindowUse,
  type GcraUse,
  type LimitUse,
  type RateLimitState,
  type SlidingWindowUse,
} from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { ProtobufCodec } from '../../codec/protobuf-codec.js';
import { DoubleReader, DoubleWriter } from './double-fields.js';

/** Field numbers of `LimitUse`. */
const GCRA = 2;
const FIXED_WINDOW = 3;
const SLIDING_WINDOW = 4;

/** Longer ones are not of the usual form. */
const LONGEST_TEXT = 1_024;

/**
 * The states of a limiter as Protobuf, the same bytes that Protobuf-ES reads and writes. A limiter does both for every decision,
 * and reflection would be a third of what such a decision costs. What is not of numbers alone (a log, fields of a newer version) is
 * left to Protobuf-ES.
 */
export class RateLimitCodec extends ProtobufCodec<typeof RateLimitStateSchema> {
  private readonly writer = new DoubleWriter();
  /** For states that are handed in as text. */
  private readonly bytes = Buffer.alloc(LONGEST_TEXT);
  private readonly reader = new DoubleReader(this.bytes);

  constructor() {
    super(RateLimitStateSchema);
  }

  override encode(state: RateLimitState): Uint8Array {
    const { writer } = this;
    writer.begin();
    return isPlain(state) && writeState(writer, state) ? writer.finish() : super.encode(state);
  }

  override decode(data: Uint8Array): RateLimitState {
    return readState(new DoubleReader(data)) ?? super.decode(data);
  }

  /** The bytes of {@link encode} as text of one byte per character, which is a single small object. */
  encodeText(state: RateLimitState): string {
    const { writer } = this;
    writer.begin();
    if (isPlain(state) && writeState(writer, state)) return writer.finishText();
    return Buffer.from(super.encode(state)).toString('latin1');
  }

  /** The state of {@link encodeText}. */
  decodeText(text: string): RateLimitState {
    if (text.length <= LONGEST_TEXT) {
      this.bytes.write(text, 'latin1');
      this.reader.rewind(text.length);
      const state = readState(this.reader);
      if (state !== undefined) return state;
    }
    return super.decode(Uint8Array.from(Buffer.from(text, 'latin1')));
  }
}

/** @returns whether all of it could be written. */
function writeState(writer: DoubleWriter, { atMs, limits }: RateLimitState): boolean {
  writer.double(1, atMs);
  for (const use of limits) {
    const begun = writer.open(2);
    if (!isPlain(use) || !writeUse(writer, use) || !writer.close(begun)) return false;
  }
  return true;
}

function writeUse(writer: DoubleWriter, { windowMs, algorithm }: LimitUse): boolean {
  writer.double(1, windowMs);
  switch (algorithm.case) {
    case 'gcra': {
      const { level, atMs } = algorithm.value;
      return isPlain(algorithm.value) && writer.doubles(GCRA, level, atMs, 0);
    }
    case 'fixedWindow': {
      const { startMs, used } = algorithm.value;
      return isPlain(algorithm.value) && writer.doubles(FIXED_WINDOW, startMs, used, 0);
    }
    case 'slidingWindow': {
      const { startMs, current, previous } = algorithm.value;
      return isPlain(algorithm.value) && writer.doubles(SLIDING_WINDOW, startMs, current, previous);
    }
    default:
      return false;
  }
}

/** Nothing of a version that knows more is in it. */
function isPlain({ $unknown }: { readonly $unknown?: readonly unknown[] }): boolean {
  return $unknown === undefined;
}

/** @returns `undefined` when it is not of the usual form. */
function readState(reader: DoubleReader): RateLimitState | undefined {
  const atMs = reader.double(1);
  const limits: LimitUse[] = [];
  while (reader.left > 0) {
    const end = reader.open(2);
    const use = end === undefined ? undefined : readUse(reader);
    if (use === undefined || reader.position !== end) return undefined;
    limits.push(use);
  }
  return { $typeName: 'flow.v1.RateLimitState', atMs, limits };
}

function readUse(reader: DoubleReader): LimitUse | undefined {
  const windowMs = reader.double(1);
  const algorithm = readGcra(reader) ?? readFixedWindow(reader) ?? readSlidingWindow(reader);
  return algorithm && { $typeName: 'flow.v1.LimitUse', windowMs, algorithm };
}

function readGcra(reader: DoubleReader): { case: 'gcra'; value: GcraUse } | undefined {
  const end = reader.open(GCRA);
  if (end === undefined) return undefined;
  const value = { $typeName: 'flow.v1.GcraUse', level: reader.double(1), atMs: reader.double(2) } as const;
  return reader.position === end ? { case: 'gcra', value } : undefined;
}

function readFixedWindow(reader: DoubleReader): { case: 'fixedWindow'; value: FixedWindowUse } | undefined {
  const end = reader.open(FIXED_WINDOW);
  if (end === undefined) return undefined;
  const value = { $typeName: 'flow.v1.FixedWindowUse', startMs: reader.double(1), used: reader.double(2) } as const;
  return reader.position === end ? { case: 'fixedWindow', value } : undefined;
}

function readSlidingWindow(reader: DoubleReader): { case: 'slidingWindow'; value: SlidingWindowUse } | undefined {
  const end = reader.open(SLIDING_WINDOW);
  if (end === undefined) return undefined;
  const startMs = reader.double(1);
  const current = reader.double(2);
  const previous = reader.double(3);
  const value = { $typeName: 'flow.v1.SlidingWindowUse', startMs, current, previous } as const;
  return reader.position === end ? { case: 'slidingWindow', value } : undefined;
}
