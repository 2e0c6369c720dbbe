import { setTimeout as delay } from 'node:timers/promises';
import { readDeliveries, type FlowDeliveries } from './flow-deliveries.js';
import { FoldedFlights } from './folded-flights.js';
import type { Observer } from './observer.js';
import { startProgress } from './progress.js';
import type { WorkerPool } from './worker-pool.js';
import type { WorkerProcess } from './worker-process.js';

/** Deliveries that a flight needs when nothing goes wrong: validate, enrich, and one of fold and review. */
const STEPS_PER_FLIGHT = 3;
const LOOK_MS = 50;
const STALL_MS = 30_000;

/** What {@link foldAll} works with. */
export interface FoldSettings {
  readonly observer: Observer;
  readonly pool: WorkerPool;
  /** The worker to kill. */
  readonly victim: WorkerProcess;
  /** Flights that were published. */
  readonly flights: number;
  /** Aborted when a watch breaks; its signal ends everything early. */
  readonly abort: AbortController;
}

/** How the folding went. */
export interface FoldResult {
  /** Until the last flight was in its objects. */
  readonly seconds: number;
  /** Deliveries beyond the first one of each message, counted by the server. */
  readonly redeliveries: number;
}

/**
 * Shows how the flights are folded, kills the victim when half of them are and has another worker take its place, and
 * waits until the server has no message left to hand out and none that is not acknowledged.
 *
 * @throws Error when nothing moves any more.
 */
export async function foldAll({ observer, pool, victim, flights, abort }: FoldSettings): Promise<FoldResult> {
  const { signal } = abort;
  const started = performance.now();
  const watching = new AbortController();
  const folded = followObjects(observer, AbortSignal.any([signal, watching.signal]), abort);
  using progress = startProgress('folded', flights);
  let killed = false;
  let seconds: number | undefined;
  let before: FlowDeliveries | undefined;
  let moved = { at: started, done: 0, delivered: 0 };
  try {
    for (;;) {
      const done = folded();
      progress.update(done);
      if (done >= flights) seconds ??= secondsSince(started);
      if (!killed && 2 * done >= flights) {
        killed = true;
        await victim.kill();
        const successor = pool.add();
        progress.say(`${victim.name} was killed with SIGKILL after ${done} flights, ${successor.name} takes its place`);
      }
      const now = await readDeliveries(observer.connection);
      // Twice the same: while it was read for the first time, a message may have gone from one step to the next.
      if (isDone(now) && before !== undefined && isDone(before) && now.delivered === before.delivered) {
        const redeliveries = now.delivered - STEPS_PER_FLIGHT * flights;
        return { seconds: seconds ?? secondsSince(started), redeliveries };
      }
      if (done !== moved.done || now.delivered !== moved.delivered) {
        moved = { at: performance.now(), done, delivered: now.delivered };
      } else if (performance.now() - moved.at > STALL_MS) {
        throw new Error(
          `Nothing has moved for ${STALL_MS / 1000} s: ${done} of ${flights} flights are folded, ` +
            `${now.waiting} messages wait, ${now.inHand} are not acknowledged.`,
        );
      }
      before = now;
      await delay(LOOK_MS, undefined, { signal });
    }
  } finally {
    watching.abort();
  }
}

/** Counts the flights of both branches from now on. @returns the number so far. */
function followObjects(observer: Observer, signal: AbortSignal, abort: AbortController): () => number {
  const plausible = new FoldedFlights();
  const reviewed = new FoldedFlights();
  const fail = (error: unknown): void => abort.abort(error);
  plausible.follow(observer.airportDelays.watch({ iata: '*' }, { signal })).catch(fail);
  reviewed.follow(observer.routeReviews.watch({ origin: '*', destination: '*' }, { signal })).catch(fail);
  return () => plausible.total + reviewed.total;
}

function isDone({ waiting, inHand }: FlowDeliveries): boolean {
  return waiting === 0 && inHand === 0;
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
