import { setTimeout as delay } from 'node:timers/promises';
import type { FlightRow } from '../data/flights.js';
import { assertCrashCounted, crashWorker } from './crash.js';
import { readDeliveries, type FlowDeliveries } from './flow-deliveries.js';
import { FoldedFlights } from './folded-flights.js';
import type { Observer } from './observer.js';
import { startProgress, type Progress } from './progress.js';
import { publishFlights } from './publish-flights.js';
import type { WorkerPool } from './worker-pool.js';
import type { WorkerProcess } from './worker-process.js';

/** Deliveries that a flight needs when nothing goes wrong: validate, enrich, and one of fold and review. */
const STEPS_PER_FLIGHT = 3;
/** Share of the flights that land before the crash. The rest waits for it: there is always work left to crash in. */
const BEFORE_CRASH = 0.6;
/** Share of the flights that is folded when the worker crashes; others of the first ones are under way. */
const CRASH_AT = 0.5;
const LOOK_MS = 50;
const STALL_MS = 30_000;

/** What {@link foldAll} works with. */
export interface FoldSettings {
  readonly observer: Observer;
  readonly pool: WorkerPool;
  /** The worker to kill. */
  readonly victim: WorkerProcess;
  readonly flights: readonly FlightRow[];
  /** Aborted when a watch breaks; its signal ends everything early. */
  readonly abort: AbortController;
}

/** How the folding went. */
export interface FoldResult {
  /** From the first flight's publish until the last flight was in its objects. */
  readonly seconds: number;
  /** Deliveries beyond the first one of each message, counted by the server: at least one. */
  readonly redeliveries: number;
}

/**
 * Publishes the flights and shows how they are folded, lets the victim crash when half of them are, and waits until the
 * server has no message left to hand out and none that is not acknowledged.
 *
 * @throws Error when nothing moves any more, or when the crash took no message with it.
 */
export async function foldAll(settings: FoldSettings): Promise<FoldResult> {
  const { observer, flights, abort } = settings;
  const { signal } = abort;
  const total = flights.length;
  const started = performance.now();
  const first = Math.ceil(BEFORE_CRASH * total);
  await publishFlights(observer.connection, flights, { from: 0, until: first }, signal);
  console.log(`published ${first} of ${total} flights in ${secondsSince(started).toFixed(1)} s`);

  const watching = new AbortController();
  const folded = followObjects(observer, AbortSignal.any([signal, watching.signal]), abort);
  using progress = startProgress('folded', total);
  let foldedBefore: number | undefined;
  let seconds: number | undefined;
  let before: FlowDeliveries | undefined;
  let moved = { at: started, done: 0, delivered: 0 };
  try {
    for (;;) {
      const done = folded();
      progress.update(done);
      if (done >= total) seconds ??= secondsSince(started);
      if (foldedBefore === undefined && done >= CRASH_AT * total) {
        foldedBefore = await crashAndPublishRest(settings, first, folded, progress);
      }
      const now = await readDeliveries(observer.connection);
      // Twice the same: while it was read for the first time, a message may have gone from one step to the next.
      const still = isDone(now) && before !== undefined && isDone(before) && now.delivered === before.delivered;
      if (still && foldedBefore !== undefined) {
        const redeliveries = now.delivered - STEPS_PER_FLIGHT * total;
        assertCrashCounted({ flights: total, foldedBefore, redeliveries });
        return { seconds: seconds ?? secondsSince(started), redeliveries };
      }
      if (done !== moved.done || now.delivered !== moved.delivered) {
        moved = { at: performance.now(), done, delivered: now.delivered };
      } else if (performance.now() - moved.at > STALL_MS) {
        throw new Error(
          `Nothing has moved for ${STALL_MS / 1000} s: ${done} of ${total} flights are folded, ` +
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

/** @returns how many flights were folded when the victim was killed. */
async function crashAndPublishRest(
  { observer: { connection }, pool, victim, flights, abort: { signal } }: FoldSettings,
  first: number,
  folded: () => number,
  progress: Progress,
): Promise<number> {
  const { published, successor } = await crashWorker({ connection, pool, victim, flights, published: first, signal });
  const done = folded();
  progress.say(`${victim.name} was killed with SIGKILL after ${done} flights, ${successor.name} takes its place`);
  await publishFlights(connection, flights, { from: published, until: flights.length }, signal);
  progress.say(`published the other ${flights.length - first} flights`);
  return done;
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
