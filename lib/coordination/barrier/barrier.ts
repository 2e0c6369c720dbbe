import { create } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';
import { BarrierStateSchema, type BarrierState } from '../../codec/gen/flow/v1/barrier_pb.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { CancelledError, NotFoundError } from '../../common/errors.js';
import { within } from '../../connection/within.js';
import { UNCHANGED } from '../../store/engine/change.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { ObjectStore } from '../../store/engine/object-store.js';
import { orAborted } from '../../store/engine/or-aborted.js';
import type { CountWaitOptions } from '../count.options.js';
import type { StateRoom } from '../state-room.js';
import type { Condition } from '../wait-condition.js';

/** How long whoever gives up waits for not being counted any more; it is seen through all the same. */
const PATIENCE_MS = 1_000;

/** Barriers as state objects. */
export class Barriers implements KvReducer<BarrierState, never, string> {
  key(key: string): string {
    return key;
  }
  empty(): BarrierState {
    return create(BarrierStateSchema);
  }
  apply(_state: BarrierState, _input: never): void {
    // Changed by functions only.
  }
}

/** The last of the parties opens the barrier. */
function arriveAt(state: BarrierState, party: string, parties: number): void {
  if (!state.arrived.includes(party)) state.arrived.push(party);
  if (state.arrived.length < parties) return;
  state.generation += 1;
  state.arrived = [];
}

/** What came of arriving. */
interface Arrival {
  /** How often the barrier has opened when it lets this one go. */
  readonly generation: number;
  readonly isOpen: boolean;
}

/** How to arrive at a barrier. */
export interface ArriveOptions {
  /**
   * Who arrives: counted once each time the barrier opens, also when it arrives again after a crash. @default somebody new
   */
  readonly party?: string;
  /**
   * Goes away when it aborts, and is not counted any more, unless the barrier has opened already. When that cannot be told to the
   * server within a second, it is told later; the log says so.
   */
  readonly signal?: AbortSignal;
}

/**
 * Holds those who arrive until all have, in all processes, per key; then opens, and begins anew. Inject it with
 * `@InjectBarrier(name)`, or get it from `Coordination`.
 *
 * Who has arrived is stored: it survives restarts. A process that dies while it waits stays counted; when it is started
 * again it should arrive as the same `party`.
 */
export class Barrier {
  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    /** How many have to arrive. */
    readonly parties: number,
    private readonly room: StateRoom<Barriers>,
  ) {}

  /**
   * Arrives, and waits for the others; told by a watch.
   *
   * @returns how often the barrier has opened by then, from 1: the same number for all who were let go together.
   * @throws CancelledError when `signal` aborts, within a second also when the server does not answer; NotFoundError when it is not
   * counted any more, since its key was forgotten or the same party went away elsewhere; ConnectionError when it was closed, or has to
   * wait while the application stops, which leaves those who wait counted.
   */
  async arrive(key: string, { party = randomUUID(), signal }: ArriveOptions = {}): Promise<number> {
    const store = await this.room.open();
    const what = `Waiting for ${this.room.nameOf(key)}`;
    if (isAborted(signal)) throw new CancelledError(what, { cause: signal?.reason });
    // A write that is given up on the way may count: it is seen through, to go away after.
    const arriving = this.enter(store, key, party);
    try {
      const { generation, isOpen } = await orAborted(arriving, what, signal);
      if (isOpen || (await this.waitFor(key, party, generation, signal))) return generation;
    } catch (error) {
      if (!isAborted(signal)) throw error;
      await this.goAway(store, key, party, arriving);
      throw new CancelledError(what, { cause: signal?.reason });
    }
    throw new NotFoundError(`${what}: party "${party}" is not counted any more. Let it arrive again.`);
  }

  /** How many wait now. */
  async waiting(key: string, options: CountWaitOptions = {}): Promise<number> {
    const store = await this.room.open();
    return (await store.read(key, options))?.arrived.length ?? 0;
  }

  /** Resolves when the server has the bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Ends waits, and takes no more. Who has arrived stays. */
  close(): Promise<void> {
    return this.room.close();
  }

  private async enter(store: ObjectStore<Barriers>, key: string, party: string): Promise<Arrival> {
    let generation = 0;
    const { generation: after } = await store.modify(key, (state) => {
      generation = state.generation + 1;
      arriveAt(state, party, this.parties);
      return state;
    });
    return { generation, isOpen: after >= generation };
  }

  private waitFor(key: string, party: string, generation: number, signal: AbortSignal | undefined): Promise<boolean> {
    const condition: Condition<BarrierState> = {
      isDone: (state) => (state?.generation ?? 0) >= generation,
      isLost: (state) => state?.generation !== generation - 1 || !state.arrived.includes(party),
    };
    return this.room.waitUntil(key, condition, signal);
  }

  /** Never rejects: whoever goes away has given up, and waits for nothing. */
  private async goAway(
    store: ObjectStore<Barriers>,
    key: string,
    party: string,
    arriving: Promise<Arrival>,
  ): Promise<void> {
    const what = `Going away from ${this.room.nameOf(key)}`;
    try {
      await within(PATIENCE_MS, what, this.takeOut(store, key, party, arriving));
    } catch (error) {
      this.room.log.warn(`${what}: party "${party}" may be counted still: ${describeThrown(error)}`);
    }
  }

  private async takeOut(
    store: ObjectStore<Barriers>,
    key: string,
    party: string,
    arriving: Promise<Arrival>,
  ): Promise<void> {
    const { generation } = await arriving;
    await store.modify(key, (state) => {
      if (state.generation >= generation || !state.arrived.includes(party)) return UNCHANGED;
      state.arrived = state.arrived.filter((other) => other !== party);
      return state;
    });
  }
}

/** A function, since it changes between two looks. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
