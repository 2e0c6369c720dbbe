import { create } from '@bufbuild/protobuf';
import { hash } from 'node:crypto';
import { CounterPartSchema, type CounterPart } from '../../codec/gen/flow/v1/counter_pb.js';
import { checkCount, CountError } from '../../common/count.error.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { CountOptions, CountWaitOptions } from '../count.options.js';
import type { StateRoom } from '../state-room.js';

/** A part of a counter. */
interface PartKey {
  readonly key: string;
  readonly part: number;
}

/** The parts of counters as state objects. */
export class CounterParts implements KvReducer<CounterPart, bigint, PartKey> {
  key({ key, part }: PartKey): [string, number] {
    return [key, part];
  }
  empty(): CounterPart {
    return create(CounterPartSchema);
  }
  apply(state: CounterPart, by: bigint): void {
    state.value += by;
  }
}

/**
 * Counts of all processes, per key. Inject it with `@InjectCounter(name)`, or get it from `Coordination`.
 *
 * - **Exact**: an addition that has resolved counts once, also when its reply was lost and over restarts; one that rejected with
 *   `OutcomeUnknownError` may or may not. Give an `idempotencyKey` to repeat it.
 * - Additions of a process at the same time share a write. Processes add to different parts.
 * - {@link value} sums the parts up, each read from the leader, not at one moment: it has everything that was added before
 *   it was called, and some of what is added meanwhile.
 *
 * Not on the server's own counters (2.12): those tell a repetition by its message id, for the duplicate window only, while
 * keys are remembered for 24 hours; and as additions share writes, they would save nothing here.
 */
export class Counter {
  /** What this process adds to, so that its additions meet in one write. */
  private readonly ownPart: number;

  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly room: StateRoom<CounterParts>,
    private readonly parts: number,
  ) {
    this.ownPart = Math.floor(Math.random() * parts);
  }

  /**
   * Adds a whole number, also a negative one.
   *
   * @throws CountError for anything else; what a write to a state object throws.
   */
  async add(key: string, by = 1, options: CountOptions = {}): Promise<void> {
    checkCount(this.room.nameOf(key), by, Number.MIN_SAFE_INTEGER);
    const store = await this.room.open(options.signal);
    await store.update({ key, part: this.partOf(options.idempotencyKey) }, BigInt(by), options);
  }

  /** The sum. @throws CountError beyond 2^53, where numbers are not exact; use {@link exactValue} there. */
  async value(key: string, options: CountWaitOptions = {}): Promise<number> {
    const sum = Number(await this.exactValue(key, options));
    if (!Number.isSafeInteger(sum)) throw new CountError(this.room.nameOf(key), `${sum} is beyond what numbers hold`);
    return sum;
  }

  /** The sum, however large. */
  async exactValue(key: string, options: CountWaitOptions = {}): Promise<bigint> {
    const store = await this.room.open(options.signal);
    const keys = Array.from({ length: this.parts }, (_, part) => ({ key, part }));
    const states = await store.readMany(keys, options);
    return states.reduce((sum, state) => sum + (state?.value ?? 0n), 0n);
  }

  /** Resolves when the server has the counter's bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Takes no more. */
  close(): Promise<void> {
    return this.room.close();
  }

  /** A repetition has to come to where the first one was counted. */
  private partOf(idempotencyKey: string | undefined): number {
    if (idempotencyKey === undefined) return this.ownPart;
    return hash('sha256', idempotencyKey, 'buffer').readUInt32BE() % this.parts;
  }
}
