import type { FlowConnection } from 'nestjs-jetstream-flow';
import type { FlightRow } from '../data/flights.js';
import { publishFlights } from './publish-flights.js';
import type { WorkerPool } from './worker-pool.js';
import type { WorkerProcess } from './worker-process.js';

/** Flights that land while the worker hangs: enough that some of them reach it, soon published. */
const HANDED_OVER = 500;

/** What {@link crashWorker} works with. */
export interface CrashSettings {
  readonly connection: FlowConnection;
  readonly pool: WorkerPool;
  /** The worker to kill. */
  readonly victim: WorkerProcess;
  readonly flights: readonly FlightRow[];
  /** How many of the flights are published already. */
  readonly published: number;
  readonly signal: AbortSignal;
}

/**
 * Lets a worker crash with messages in hand, and another one take its place. The worker hangs first, as when its machine
 * stands still; it is handed flights that land meanwhile, and takes them with it.
 *
 * @returns how many of the flights are published now, and who has come.
 */
export async function crashWorker(settings: CrashSettings): Promise<{ published: number; successor: WorkerProcess }> {
  const { connection, pool, victim, flights, published, signal } = settings;
  const until = Math.min(flights.length, published + HANDED_OVER);
  victim.freeze();
  await publishFlights(connection, flights, { from: published, until }, signal);
  await victim.kill();
  return { published: until, successor: pool.add() };
}

/** What is known of the crash when all is over. */
export interface CrashReport {
  /** Flights in all. */
  readonly flights: number;
  /** Flights that were folded when the worker was killed. */
  readonly foldedBefore: number;
  /** Deliveries beyond the first one of each message. */
  readonly redeliveries: number;
}

/** @throws Error when the crash took nothing with it: then a right end would not show that one does no harm. */
export function assertCrashCounted({ flights, foldedBefore, redeliveries }: CrashReport): void {
  if (foldedBefore >= flights) {
    throw new Error(`The worker was killed when all ${flights} flights were folded: that shows nothing.`);
  }
  if (redeliveries < 1) {
    throw new Error(
      `The worker was killed after ${foldedBefore} of ${flights} flights with nothing in hand: ` +
        'no message was handed out again, and that shows nothing.',
    );
  }
}
