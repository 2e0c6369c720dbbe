import { create } from '@bufbuild/protobuf';
import { WaitGroupCountSchema, type WaitGroupCount } from '../../codec/gen/flow/v1/wait_group_pb.js';
import { checkCount, CountError } from '../../common/count.error.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { CountOptions, CountWaitOptions } from '../count.options.js';
import type { StateRoom } from '../state-room.js';

/** The counts of wait groups as state objects. */
export class WaitGroupCounts implements KvReducer<WaitGroupCount, number, string> {
  key(key: string): string {
    return key;
  }
  empty(): WaitGroupCount {
    return create(WaitGroupCountSchema);
  }
  apply(state: WaitGroupCount, by: number): void {
    state.count += BigInt(by);
    const isExact = state.count <= BigInt(Number.MAX_SAFE_INTEGER);
    if (state.count < 0n || !isExact) throw new CountError('A wait group', `its count would be ${state.count}`);
  }
}

/**
 * Waits until as many have finished as have begun, in all processes, per key. Inject it with `@InjectWaitGroup(name)`, or get
 * it from `Coordination`.
 *
 * The count survives restarts, and counts exactly as `Counter` does. Call `add` before the work can call `done`: a count that
 * passes through 0 may let those go who wait, or not when it does so for a moment only. What a process was to finish that died is
 * never finished: whoever repeats its work calls `done` with the same `idempotencyKey`.
 */
export class WaitGroup {
  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    private readonly room: StateRoom<WaitGroupCounts>,
  ) {}

  /**
   * Adds to what is waited for.
   *
   * @returns the count after it. @throws CountError unless `by` is a whole number from 1 on, and when the count would be beyond
   * 2^53, where numbers are not exact.
   */
  async add(key: string, by = 1, options: CountOptions = {}): Promise<number> {
    checkCount(this.room.nameOf(key), by, 1);
    const { idempotencyKey } = options;
    // Apart from those of `done`, which may have the same: both may be the work of one step. An empty one stays refused.
    return this.change(key, by, idempotencyKey ? { ...options, idempotencyKey: `add ${idempotencyKey}` } : options);
  }

  /** One has finished. @returns the count after it. @throws CountError when it would be below zero. */
  done(key: string, options: CountOptions = {}): Promise<number> {
    return this.change(key, -1, options);
  }

  /** What is still waited for. */
  async count(key: string, options: CountWaitOptions = {}): Promise<number> {
    const store = await this.room.open(options.signal);
    return Number((await store.read(key, options))?.count ?? 0n);
  }

  /**
   * Resolves when the count is 0, at once if it is; told by a watch. Also, soon after, when the key is forgotten.
   *
   * @throws CancelledError when `signal` aborts; ConnectionError when it was closed, or has to wait while the application stops.
   */
  async wait(key: string, { signal }: CountWaitOptions = {}): Promise<void> {
    await this.room.waitUntil(key, { isDone: (state) => (state?.count ?? 0n) === 0n }, signal);
  }

  /** Resolves when the server has the bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Ends waits, and takes no more. The counts stay. */
  close(): Promise<void> {
    return this.room.close();
  }

  private async change(key: string, by: number, options: CountOptions): Promise<number> {
    const store = await this.room.open(options.signal);
    return Number((await store.update(key, by, options)).count);
  }
}
