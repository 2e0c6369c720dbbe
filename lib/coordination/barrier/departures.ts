import type { BarrierState } from '../../codec/gen/flow/v1/barrier_pb.js';
import { describeThrown } from '../../common/describe-thrown.js';
import { OperationTimeoutError, OutcomeUnknownError, OverloadedError } from '../../common/errors.js';
import { isPassing } from '../../connection/jetstream-api.js';
import { within } from '../../connection/within.js';
import { UNCHANGED } from '../../store/engine/change.js';
import { fullJitter } from '../../store/engine/full-jitter.js';
import type { ObjectStore } from '../../store/engine/object-store.js';
import type { StateRoom } from '../state-room.js';
import type { Barriers } from './barriers.js';

/** How long whoever gives up waits for not being counted any more; it is seen through all the same. */
const PATIENCE_MS = 1_000;
/** Pauses between attempts that the server did not answer. */
const REPEATS = { initialMs: 100, maxMs: 5_000 } as const;

/** One who has arrived at a barrier, or may have. */
export interface Arrival {
  readonly key: string;
  readonly party: string;
  /** Nobody else is or will ever be this party. */
  readonly isUnique: boolean;
  /** How often the barrier has opened when it lets this one go; `undefined` as long as nothing of it can be stored. */
  generation: number | undefined;
  /** Of the key, where the generation counts. */
  life: string;
}

/** Has those not counted any more who have arrived at a barrier and gave up. */
export class Departures {
  /** By party and key. Who comes back is not taken out by what failed before. */
  private readonly leaving = new Map<string, Arrival>();
  private readonly underWay = new Set<Promise<void>>();

  constructor(private readonly room: StateRoom<Barriers>) {}

  /** The party arrives, again perhaps. */
  arrives(arrival: Arrival): void {
    this.leaving.delete(nameOf(arrival));
  }

  /**
   * Takes an arrival out, also one that is still on its way, or in doubt: the store makes changes of a key in the order in which they
   * are asked for. Goes on until the server has answered, or the barrier is closed.
   *
   * @returns when it is done, after a second in any case. Never rejects: whoever goes away has given up, and waits for nothing.
   */
  async begin(store: ObjectStore<Barriers>, arrival: Arrival): Promise<void> {
    if (arrival.generation === undefined) return;
    const { party, key } = arrival;
    const what = `Going away from ${this.room.nameOf(key)}`;
    const going = this.seeThrough(store, arrival).catch((error: unknown) => {
      const stays = 'stays counted, if it was, until it arrives again or the key is forgotten';
      this.room.log.warn(`${what}: party "${party}" ${stays}: ${describeThrown(error)}`);
    });
    this.underWay.add(going);
    void going.then(() => this.underWay.delete(going));
    try {
      await within(PATIENCE_MS, what, going);
    } catch (error) {
      this.room.log.warn(`${what}: party "${party}" may be counted still: ${describeThrown(error)}`);
    }
  }

  /** Resolves when nobody is on the way any more. */
  async ended(): Promise<void> {
    await Promise.all(this.underWay);
  }

  private async seeThrough(store: ObjectStore<Barriers>, arrival: Arrival): Promise<void> {
    const name = nameOf(arrival);
    const pause = fullJitter(REPEATS, this.room.closed);
    this.leaving.set(name, arrival);
    try {
      while (this.leaving.get(name) === arrival) {
        try {
          await store.modify(arrival.key, (state) => takeOut(state, arrival));
          return;
        } catch (error) {
          if (!isSilence(error)) throw error;
          await pause();
          if (this.room.closed.aborted) throw error;
        }
      }
    } finally {
      if (this.leaving.get(name) === arrival) this.leaving.delete(name);
    }
  }
}

/** A party with a name may have come back elsewhere since the barrier has opened, or was forgotten: that one stays. */
function takeOut(state: BarrierState, arrival: Arrival): BarrierState | typeof UNCHANGED {
  const { party, isUnique, generation = 0, life } = arrival;
  const isItsTurn = state.generation === generation - 1;
  if (state.arrived.includes(party) && (isUnique || (isItsTurn && state.life === life))) {
    state.arrived = state.arrived.filter((other) => other !== party);
    return state;
  }
  // An arrival that is on its way still, on a connection that was lost perhaps, is for the revision that this replaces.
  return isItsTurn ? state : UNCHANGED;
}

/** Whether the server has not answered; it is not known to have refused. */
function isSilence(error: unknown): boolean {
  const isInTime = error instanceof OperationTimeoutError || error instanceof OutcomeUnknownError;
  return isInTime || error instanceof OverloadedError || isPassing(error);
}

function nameOf({ key, party }: Arrival): string {
  return JSON.stringify([key, party]);
}
