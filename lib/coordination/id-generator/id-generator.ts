import { create } from '@bufbuild/protobuf';
import { LRUCache } from 'lru-cache';
import { IdRangeSchema, type IdRange } from '../../codec/gen/flow/v1/id_range_pb.js';
import { CountError } from '../../common/count.error.js';
import { describeThrown } from '../../common/describe-thrown.js';
import type { Log } from '../../common/log.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import { orAborted } from '../../store/engine/or-aborted.js';
import type { CountWaitOptions } from '../count.options.js';
import type { StateRoom } from '../state-room.js';
import { IdSequence } from './id-sequence.js';

/** Sequences whose ids a process keeps at hand; of those beyond, the rest of the block is not used. */
const KEPT_SEQUENCES = 10_000;

/** From here on numbers are not exact. */
const END = BigInt(Number.MAX_SAFE_INTEGER) + 1n;

/** How far ids are given, as state objects. */
export class IdRanges implements KvReducer<IdRange, number, string> {
  constructor(private readonly start: number) {}

  key(key: string): string {
    return key;
  }
  empty(): IdRange {
    return create(IdRangeSchema, { next: BigInt(this.start) });
  }
  /** The input is how many are taken. */
  apply(state: IdRange, count: number): void {
    state.next += BigInt(count);
    if (state.next > END) throw new CountError('An id generator', 'the next ids are beyond what numbers hold');
  }
}

/**
 * Whole numbers that are unique over all processes and restarts, per key. Inject it with `@InjectIdGenerator(name)`, or get it
 * from `Coordination`.
 *
 * - **Unique** for the life of the bucket: no number comes twice, whatever fails. With `durability: 'memory'` the server's end is
 *   the bucket's.
 * - **Growing within a process**; over several, only about: each takes a block of numbers ahead.
 * - **With gaps**: what a process has not used of its block when it ends, and a block whose taking was not confirmed.
 * - Fast: one write per block, begun before the last one is used up.
 */
export class IdGenerator {
  private readonly sequences = new LRUCache<string, IdSequence>({ max: KEPT_SEQUENCES });

  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly room: StateRoom<IdRanges>,
    private readonly block: number,
    private readonly log: Log,
  ) {}

  /**
   * The next number of a sequence.
   *
   * @throws CancelledError when `signal` aborts; CountError when the next block reaches beyond 2^53, where numbers are not exact;
   * what a write to a state object throws.
   */
  async next(key: string, { signal }: CountWaitOptions = {}): Promise<number> {
    const sequence = this.sequenceOf(key);
    for (;;) {
      const id = sequence.take();
      if (id !== undefined) return id;
      await orAborted(sequence.more(), `next id of ${this.room.nameOf(key)}`, signal);
    }
  }

  /** Resolves when the server has the bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Takes no more. What is left of the blocks is not used. */
  close(): Promise<void> {
    this.sequences.clear();
    return this.room.close();
  }

  private sequenceOf(key: string): IdSequence {
    let sequence = this.sequences.get(key);
    if (sequence === undefined) {
      sequence = new IdSequence(
        this.block,
        (count) => this.claim(key, count),
        (error) => this.log.warn(`${this.room.nameOf(key)}: no ids could be taken ahead: ${describeThrown(error)}`),
      );
      this.sequences.set(key, sequence);
    }
    return sequence;
  }

  private async claim(key: string, count: number): Promise<number> {
    const store = await this.room.open();
    const { next } = await store.update(key, count);
    return Number(next) - count;
  }
}
