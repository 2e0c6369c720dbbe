import { once } from 'node:events';
import { EmbeddedNatsServer } from 'nestjs-jetstream-flow/testing';
import { readFlights } from '../data/flights.js';
import { checkObjects } from './check-objects.js';
import type { DemoOptions } from './demo.options.js';
import { foldAll } from './fold-all.js';
import { InterruptedError } from './interrupted.error.js';
import { startObserver, type Observer } from './observer.js';
import { borrowServer } from './shared-server.js';
import { WorkerPool } from './worker-pool.js';
import { worstAirports } from './worst-airports.js';

/**
 * Runs the whole of it: a server, workers, every flight, a worker killed in the middle, the comparison. Everything that
 * was started has ended when the promise settles.
 *
 * @param abort ends it early; also aborted by what fails beside the main line, such as a worker that crashes
 * @returns what was done and how fast, in one line.
 * @throws Error when the flights do not come to their end, or an object is not as it must be.
 */
export async function runDemo(options: DemoOptions, abort: AbortController): Promise<string> {
  await using server = await EmbeddedNatsServer.start();
  await using observer = await startObserver(server.url);
  await using borrowed = server.pid === undefined ? await borrowServer(observer) : undefined;
  const whose = borrowed === undefined ? `pid ${server.pid ?? 'none'}` : 'of NATS_URL';
  console.log(`nats-server ${server.version} at ${server.url} (${whose})`);
  await using pool = await WorkerPool.create(server.url, (error) => abort.abort(error));
  try {
    return await foldAndCompare(options, observer, pool, abort);
  } catch (error) {
    if (!(abort.signal.reason instanceof InterruptedError)) pool.keepLogs();
    throw error;
  }
}

async function foldAndCompare(
  options: DemoOptions,
  observer: Observer,
  pool: WorkerPool,
  abort: AbortController,
): Promise<string> {
  const flights = readFlights(options.flights);
  const victim = pool.add();
  const workers = [victim, ...Array.from({ length: options.workers - 1 }, () => pool.add())];
  await Promise.race([Promise.all(workers.map(({ ready }) => ready)), once(abort.signal, 'abort')]);
  abort.signal.throwIfAborted();
  console.log(`${workers.map(({ name }) => name).join(', ')} run the flow and log to ${pool.logDirectory}`);

  const { seconds, redeliveries } = await foldAll({ observer, pool, victim, flights, abort });

  const leastFlights = Math.ceil(flights.length / 1_000);
  console.log(`\nThe ten airports with the greatest mean delay, of those that ${leastFlights} or more flights left:`);
  console.log(await worstAirports(observer.airportDelays, leastFlights));
  const { airports, routes, reviewedRoutes, differences } = await checkObjects(observer, flights);
  if (differences.length > 0) throw new Error(describeDifferences(differences));
  console.log(
    `\n${airports} airports, ${routes} routes and ${reviewedRoutes} routes to review are what the file says, to the minute.`,
  );
  return (
    `${flights.length} flights in ${seconds.toFixed(1)} s (${Math.round(flights.length / seconds)} flights/s), ` +
    `${airports + routes + reviewedRoutes} objects compared, ${redeliveries} redeliveries`
  );
}

/** Enough of them to see what is wrong. */
function describeDifferences(differences: readonly string[]): string {
  const shown = differences.slice(0, 20);
  const rest = differences.length - shown.length;
  return [`${differences.length} differences`, ...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n  ');
}
