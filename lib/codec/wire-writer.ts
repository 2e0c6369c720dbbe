import { FLOAT32_MAX } from '@bufbuild/protobuf/wire';

/** As large as the pool that Node's own small buffers are cut from. */
const SLAB_BYTES = 8 * 1024;
/** Up to this length a loop over the characters beats the call of a native function. */
const SHORT_TEXT = 24;
const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);
const MAX_UINT64 = 2n ** 64n - 1n;

/**
 * Thrown for a value that is not of the one form which the writer takes. It is never seen outside of the codec: the
 * message is then encoded the slow way, which also takes other forms and knows the proper error.
 */
export class UnusualValue extends Error {}

/**
 * Writes Protobuf's wire format, one message after the other, into a slab of memory that the finished messages are
 * parts of: allocating a typed array for each costs more than encoding it. Protobuf-ES's own writer makes one for
 * each text, number and nested message.
 */
export class WireWriter {
  private slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where in the slab the message begins. */
  private start = 0;
  private position = 0;

  /** What was written. It shares the slab with other messages, but no byte of it. The writer is empty after it. */
  finish(): Uint8Array {
    const written = new Uint8Array(this.slab.buffer, this.start, this.position - this.start);
    this.start = this.position;
    // A slab made for a large message is not kept alive by small ones.
    if (this.slab.length > SLAB_BYTES) this.renew(SLAB_BYTES);
    return written;
  }

  /** Forgets what was written since the last message. */
  reset(): void {
    this.position = this.start;
  }

  /** An unsigned number below 2^32, seven bits to a byte. */
  varint32(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.slab[this.position++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.slab[this.position++] = rest;
  }

  int32(value: unknown): void {
    const number = int32Of(value);
    if (number >= 0) this.varint32(number);
    else this.varint64(BigInt.asUintN(64, BigInt(number)));
  }

  uint32(value: unknown): void {
    this.varint32(uint32Of(value));
  }

  sint32(value: unknown): void {
    const number = int32Of(value);
    this.varint32(((number << 1) ^ (number >> 31)) >>> 0);
  }

  bool(value: unknown): void {
    if (typeof value !== 'boolean') throw new UnusualValue();
    this.reserve(1);
    this.slab[this.position++] = value ? 1 : 0;
  }

  int64(value: unknown): void {
    this.varint64(BigInt.asUintN(64, int64Of(value)));
  }

  uint64(value: unknown): void {
    this.varint64(uint64Of(value));
  }

  sint64(value: unknown): void {
    const number = int64Of(value);
    this.varint64(BigInt.asUintN(64, (number << 1n) ^ (number >> 63n)));
  }

  fixed32(value: unknown): void {
    const number = uint32Of(value);
    this.reserve(4);
    this.position = this.slab.writeUInt32LE(number, this.position);
  }

  sfixed32(value: unknown): void {
    const number = int32Of(value);
    this.reserve(4);
    this.position = this.slab.writeInt32LE(number, this.position);
  }

  fixed64(value: unknown): void {
    const number = uint64Of(value);
    this.reserve(8);
    this.position = this.slab.writeBigUInt64LE(number, this.position);
  }

  sfixed64(value: unknown): void {
    const number = int64Of(value);
    this.reserve(8);
    this.position = this.slab.writeBigInt64LE(number, this.position);
  }

  float(value: unknown): void {
    if (typeof value !== 'number' || (Number.isFinite(value) && Math.abs(value) > FLOAT32_MAX)) {
      throw new UnusualValue();
    }
    this.reserve(4);
    this.position = this.slab.writeFloatLE(value, this.position);
  }

  double(value: unknown): void {
    if (typeof value !== 'number') throw new UnusualValue();
    this.reserve(8);
    this.position = this.slab.writeDoubleLE(value, this.position);
  }

  /** A length and that many bytes. */
  bytes(value: unknown): void {
    if (!(value instanceof Uint8Array)) throw new UnusualValue();
    this.varint32(value.length);
    this.raw(value);
  }

  /** Bytes that are in wire format already. */
  raw(value: Uint8Array): void {
    this.reserve(value.length);
    this.slab.set(value, this.position);
    this.position += value.length;
  }

  /** A length and that many bytes of UTF-8. */
  string(value: unknown): void {
    if (typeof value !== 'string') throw new UnusualValue();
    const { length } = value;
    // A character of UTF-16 takes three bytes at most.
    this.reserve(5 + length * 3);
    const mark = this.open();
    if (length > SHORT_TEXT || !this.ascii(value)) {
      this.position += this.slab.write(value, this.position, 'utf8');
    }
    this.close(mark);
  }

  /** Begins something that its length goes before. {@link close} takes the result. */
  open(): number {
    this.reserve(1);
    this.position++;
    return this.position - this.start;
  }

  /** Ends what {@link open} began, and writes its length before it. */
  close(mark: number): void {
    const length = this.position - this.start - mark;
    if (length <= 0x7f) {
      this.slab[this.start + mark - 1] = length;
      return;
    }
    // One byte was left free for the length; a longer one needs the content moved.
    const more = length < 1 << 14 ? 1 : length < 1 << 21 ? 2 : length < 1 << 28 ? 3 : 4;
    this.reserve(more);
    const begin = this.start + mark;
    this.slab.copyWithin(begin + more, begin, this.position);
    this.position = begin - 1;
    this.varint32(length);
    this.position = begin + more + length;
  }

  /** Writes a text of ASCII characters. `false`, and nothing written that counts, when it has others. */
  private ascii(text: string): boolean {
    let at = this.position;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return false;
      this.slab[at++] = code;
    }
    this.position = at;
    return true;
  }

  private varint64(value: bigint): void {
    if (value <= 0xffffffffn) {
      this.varint32(Number(value));
      return;
    }
    this.reserve(10);
    let low = Number(value & 0x0fffffffn);
    let rest = value >> 28n;
    // 28 bits at a time, because arithmetic with bigints is slow.
    for (let byte = 0; byte < 4; byte++) {
      this.slab[this.position++] = (low & 0x7f) | 0x80;
      low >>>= 7;
    }
    low = Number(rest & 0x0fffffffn);
    rest >>= 28n;
    const high = Number(rest);
    for (let byte = 0; byte < 4; byte++) {
      const isLast = high === 0 && low <= 0x7f;
      this.slab[this.position++] = isLast ? low : (low & 0x7f) | 0x80;
      if (isLast) return;
      low >>>= 7;
    }
    this.varint32(high);
  }

  private reserve(bytes: number): void {
    if (this.position + bytes <= this.slab.length) return;
    const needed = this.position - this.start + bytes;
    this.renew(needed <= SLAB_BYTES / 2 ? SLAB_BYTES : needed * 2);
  }

  /** Goes on in a new slab, with what was written of the message so far. */
  private renew(bytes: number): void {
    const slab = Buffer.allocUnsafeSlow(bytes);
    this.slab.copy(slab, 0, this.start, this.position);
    this.position -= this.start;
    this.start = 0;
    this.slab = slab;
  }
}

function int32Of(value: unknown): number {
  if (typeof value !== 'number' || (value | 0) !== value) throw new UnusualValue();
  return value;
}

function uint32Of(value: unknown): number {
  if (typeof value !== 'number' || value >>> 0 !== value) throw new UnusualValue();
  return value;
}

function int64Of(value: unknown): bigint {
  if (typeof value !== 'bigint' || value > MAX_INT64 || value < MIN_INT64) throw new UnusualValue();
  return value;
}

function uint64Of(value: unknown): bigint {
  if (typeof value !== 'bigint' || value > MAX_UINT64 || value < 0n) throw new UnusualValue();
  return value;
}
