/** Protobuf messages of nothing but doubles, and of such messages: in Protobuf's wire format, with field numbers up to 15. */

/** Wire types. */
const BIT64 = 1;
const LENGTH_DELIMITED = 2;
/** Length from which a length takes more than one byte. */
const LONGEST = 128;
/** Bytes that a message may have. */
const ROOM = 1_024;

/** Writes one message at a time, into memory that all share. Whoever closes a message in it is told when there is no more room. */
export class DoubleWriter {
  private readonly bytes = Buffer.alloc(ROOM);
  private readonly view = new DataView(this.bytes.buffer, this.bytes.byteOffset, ROOM);
  private position = 0;

  begin(): void {
    this.position = 0;
  }

  /** A field; left out when it is zero, as proto3 has it. */
  double(field: number, value: number): void {
    if (Object.is(value, 0)) return;
    this.bytes[this.position] = (field << 3) | BIT64;
    this.view.setFloat64(this.position + 1, value, true);
    this.position += 9;
  }

  /** A message of up to three fields. @returns whether it fits. */
  doubles(field: number, first: number, second: number, third: number): boolean {
    const begun = this.open(field);
    this.double(1, first);
    this.double(2, second);
    this.double(3, third);
    return this.close(begun);
  }

  /** Begins a message in the message. @returns what {@link close} needs */
  open(field: number): number {
    this.bytes[this.position] = (field << 3) | LENGTH_DELIMITED;
    this.position += 2;
    return this.position;
  }

  /** @returns whether it fits, and another of the same length would. */
  close(begun: number): boolean {
    const length = this.position - begun;
    this.bytes[begun - 1] = length;
    return length < LONGEST && this.position + LONGEST <= ROOM;
  }

  /** What was written since {@link begin}, in memory of its own. */
  finish(): Uint8Array {
    return Buffer.from(this.bytes.subarray(0, this.position));
  }

  /** The same as text of one byte per character. */
  finishText(): string {
    return this.bytes.toString('latin1', 0, this.position);
  }
}

/** Reads a message by the fields that are expected next; what is not as expected is for the caller to notice. */
export class DoubleReader {
  private readonly view: DataView;
  position = 0;
  private end: number;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
  }

  /** Begins anew: another message of that length is in the same bytes. */
  rewind(length: number): void {
    this.position = 0;
    this.end = length;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.end - this.position;
  }

  /** The field, when it is next; otherwise zero, and nothing is read. */
  double(field: number): number {
    if (this.bytes[this.position] !== ((field << 3) | BIT64) || this.left < 9) return 0;
    const value = this.view.getFloat64(this.position + 1, true);
    this.position += 9;
    return value;
  }

  /** Begins a message in the message, when it is next. @returns where it ends; `undefined` when something else is next */
  open(field: number): number | undefined {
    const length = this.bytes[this.position + 1];
    if (this.bytes[this.position] !== ((field << 3) | LENGTH_DELIMITED)) return undefined;
    if (length === undefined || length >= LONGEST || length + 2 > this.left) return undefined;
    this.position += 2;
    return this.position + length;
  }
}
