import { create } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';
import { BarrierStateSchema, type BarrierState } from '../../codec/gen/flow/v1/barrier_pb.js';
import { CancelledError } from '../../common/errors.js';
import { UNCHANGED } from '../../store/engine/change.js';
import type { KvReducer } from '../../store/engine/kv-reducer.js';
import type { StateRoom } from '../state-room.js';

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

/** How to arrive at a barrier. */
export interface ArriveOptions {
  /**
   * Who arrives: counted once each time the barrier opens, also when it arrives again after a crash. @default somebody new
   */
  readonly party?: string;
  /** Goes away when it aborts, and is not counted any more, unless the barrier has opened already. */
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
   * @throws CancelledError when `signal` aborts; ConnectionError when it was closed, or has to wait while the
   * application stops, which leaves those who wait counted.
   */
  async arrive(key: string, { party = randomUUID(), signal }: ArriveOptions = {}): Promise<number> {
    const store = await this.room.open();
    // A write that is given up on the way may count: better to see it through, and to go away after.
    if (isAborted(signal)) throw new CancelledError(`Waiting for ${this.room.nameOf(key)}`, { cause: signal?.reason });
    let generation = 0;
    const { generation: after } = await store.modify(key, (state) => {
      generation = state.generation + 1;
      arriveAt(state, party, this.parties);
      return state;
    });
    if (after >= generation) return generation;
    try {
      await this.room.waitUntil(key, (state) => (state?.generation ?? 0) >= generation, signal);
      return generation;
    } catch (error) {
      if (isAborted(signal)) await this.goAway(key, party, generation);
      throw error;
    }
  }

  /** How many wait now. */
  async waiting(key: string): Promise<number> {
    const store = await this.room.open();
    return (await store.read(key))?.arrived.length ?? 0;
  }

  /** Resolves when the server has the bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Ends waits, and takes no more. Who has arrived stays. */
  close(): Promise<void> {
    return this.room.close();
  }

  private async goAway(key: string, party: string, generation: number): Promise<void> {
    const store = await this.room.open();
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
