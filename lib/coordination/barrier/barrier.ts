import { randomUUID } from 'node:crypto';
import type { BarrierState } from '../../codec/gen/flow/v1/barrier_pb.js';
import { CancelledError, NotFoundError } from '../../common/errors.js';
import type { ObjectStore } from '../../store/engine/object-store.js';
import type { CountWaitOptions } from '../count.options.js';
import type { StateRoom } from '../state-room.js';
import type { Condition } from '../wait-condition.js';
import type { Barriers } from './barriers.js';
import { Departures, type Arrival } from './departures.js';

/** The last of the parties opens the barrier. */
function arriveAt(state: BarrierState, party: string, parties: number): void {
  if (!state.arrived.includes(party)) state.arrived.push(party);
  if (state.arrived.length < parties) return;
  state.generation += 1;
  state.arrived = [];
}

/** What came of arriving. */
interface Entered {
  /** Of the key: generations of another one do not count. */
  readonly life: string;
  /** How often the barrier has opened when it lets this one go. */
  readonly generation: number;
  readonly isOpen: boolean;
}

/** How to arrive at a barrier. */
export interface ArriveOptions {
  /**
   * Who arrives: counted once each time the barrier opens, also when it arrives again, as after a crash, a shutdown or an error.
   * Give one to whoever may come again; somebody new would be counted beside what is left of the last time.
   * @default somebody new
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
 * Who has arrived is stored: it survives restarts. A process that dies or is shut down while it waits stays counted; when it is
 * started again it should arrive as the same `party`.
 */
export class Barrier {
  private readonly departures: Departures;

  /** @internal Made by `Coordination`. */
  constructor(
    readonly name: string,
    /** How many have to arrive. */
    readonly parties: number,
    private readonly room: StateRoom<Barriers>,
  ) {
    this.departures = new Departures(room);
  }

  /**
   * Arrives, and waits for the others; told by a watch.
   *
   * @returns how often the barrier has opened by then, from 1: the same number for all who were let go together.
   * @throws CancelledError when `signal` aborts, within a second also when the server does not answer; NotFoundError when it is not
   * counted any more, since its key was forgotten or the same party went away elsewhere; ConnectionError when it was closed, or has to
   * wait while the application stops, which leaves those who wait counted; else what a write to a state object or a watch throws, as
   * OutcomeUnknownError when the server does not answer: after that a `party` with a name may be counted, for it to arrive again;
   * somebody new goes away, as when `signal` aborts.
   */
  async arrive(key: string, { party, signal }: ArriveOptions = {}): Promise<number> {
    const store = await this.room.open(signal);
    const what = `Waiting for ${this.room.nameOf(key)}`;
    if (isAborted(signal)) throw new CancelledError(what, { cause: signal?.reason });
    const isUnique = party === undefined;
    const arrival: Arrival = { key, party: party ?? randomUUID(), isUnique, generation: undefined, life: '' };
    this.departures.arrives(arrival);
    try {
      const entered = await this.enter(store, arrival, signal);
      if (entered.isOpen || (await this.waitFor(arrival, entered, signal))) return entered.generation;
    } catch (error) {
      // Whoever is told so as everything ends may come back, as after a crash.
      if (isAborted(signal) || (isUnique && !this.room.isEnding)) await this.departures.begin(store, arrival);
      throw isAborted(signal) ? new CancelledError(what, { cause: signal?.reason }) : error;
    }
    throw new NotFoundError(`${what}: party "${arrival.party}" is not counted any more. Let it arrive again.`);
  }

  /** How many wait now. */
  async waiting(key: string, options: CountWaitOptions = {}): Promise<number> {
    const store = await this.room.open(options.signal);
    return (await store.read(key, options))?.arrived.length ?? 0;
  }

  /** Resolves when the server has the bucket; it is made on first use otherwise. */
  ready(): Promise<void> {
    return this.room.ready();
  }

  /** Ends waits, and takes no more. Who has arrived stays. Resolves when those who were about to go away have, or cannot. */
  async close(): Promise<void> {
    await this.room.close();
    await this.departures.ended();
  }

  private async enter(store: ObjectStore<Barriers>, arrival: Arrival, signal?: AbortSignal): Promise<Entered> {
    let generation = 0;
    const arrive = (state: BarrierState): BarrierState => {
      arrival.generation = generation = state.generation + 1;
      arrival.life = state.life;
      arriveAt(state, arrival.party, this.parties);
      return state;
    };
    const after = await store.modify(arrival.key, arrive, signal === undefined ? {} : { signal });
    return { generation, life: after.life, isOpen: after.generation >= generation };
  }

  private waitFor({ key, party }: Arrival, entered: Entered, signal: AbortSignal | undefined): Promise<boolean> {
    const { generation, life } = entered;
    const condition: Condition<BarrierState> = {
      isDone: (state) => state?.life === life && state.generation >= generation,
      isLost: (state) => state?.life !== life || state.generation !== generation - 1 || !state.arrived.includes(party),
    };
    return this.room.waitUntil(key, condition, signal);
  }
}

/** A function, since it changes between two looks. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}
