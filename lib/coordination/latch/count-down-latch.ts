import { create } from '@bufbuild/protobuf';
import { LatchCountSchema, type LatchCount } from '../../codec/gen/flow/v1/latch_pb.js';
import { checkCount, CountError } from '../../common/count.error.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { CountOptions, CountWaitOptions } from '../count.options.js';
import type { StateRoom } from '../state-room.js';

/** As it is stored, in 32 bits. */
const LARGEST = 2 ** 32 - 1;

/** The counts of latches as state objects. */
export class LatchCounts implements KvReducer<LatchCount, never, string> {
  key(key: string): string {
    return key;
  }
  empty(): LatchCount {
    return create(LatchCountSchema);
  }
  apply(_state: LatchCount, _input: never): void {
    // Changed by functions only.
  }
}

/**
 * A gate that opens once, when it has been counted down as often as it was set to, by all processes, per key. Inject it with
 * `@InjectCountDownLatch(name)`, or get it from `Coordination`.
 *
 * It counts exactly, as `Counter` does, and survives restarts. Once open it stays open, until its key is forgotten.
 */
export class CountDownLatch {
  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly room: StateRoom<LatchCounts>,
  ) {}

  /**
   * Sets how often it has to be counted down, 0 to 2^32 - 1. The first one that sets it counts. Whose answer was lost may have been
   * that one, and learns so when it repeats the call with the `idempotencyKey` that it had.
   *
   * @returns whether this one did. @throws CountError for another count.
   */
  async set(key: string, count: number, options: CountOptions = {}): Promise<boolean> {
    checkCount(this.room.nameOf(key), count, 0, LARGEST);
    const store = await this.room.open(options.signal);
    const { idempotencyKey } = options;
    // Apart from those of counting down, which may have the same: both may be the work of one step. An empty one stays refused.
    const own = idempotencyKey ? { ...options, idempotencyKey: `set ${idempotencyKey}` } : options;
    let isFirst = false;
    const { duplicate } = await store.write('modify', key, own, (before) => {
      isFirst = before === undefined;
      return isFirst ? { kind: 'write', state: create(LatchCountSchema, { count }) } : { kind: 'keep' };
    });
    // Only a call that has set it leaves its key behind.
    return duplicate || isFirst;
  }

  /**
   * Counts down; an open latch stays as it is.
   *
   * @returns what is left. @throws CountError when nobody has set it.
   */
  async countDown(key: string, by = 1, options: CountOptions = {}): Promise<number> {
    checkCount(this.room.nameOf(key), by, 1);
    const store = await this.room.open(options.signal);
    const change = (state: LatchCount, { exists }: { readonly exists: boolean }): undefined => {
      if (!exists) throw new CountError(this.room.nameOf(key), 'it is not set');
      state.count = Math.max(0, state.count - by);
    };
    return (await store.modify(key, change, options)).count;
  }

  /** What is left; `undefined` when nobody has set it. */
  async count(key: string, options: CountWaitOptions = {}): Promise<number | undefined> {
    const store = await this.room.open(options.signal);
    return (await store.read(key, options))?.count;
  }

  /**
   * Resolves when it is open, at once if it is; also when it is set only later, or anew after its key was forgotten. Told by a
   * watch.
   *
   * @throws CancelledError when `signal` aborts; ConnectionError when it was closed, or has to wait while the application stops.
   */
  async wait(key: string, { signal }: CountWaitOptions = {}): Promise<void> {
    await this.room.waitUntil(key, { isDone: (state) => state?.count === 0 }, signal);
  }

  /** Resolves when the server has the bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Ends waits, and takes no more. The counts stay. */
  close(): Promise<void> {
    return this.room.close();
  }
}
