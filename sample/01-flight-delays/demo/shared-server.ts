import type { Observer } from './observer.js';

/**
 * Makes sure that on a server that others use too (the one of NATS_URL) the demo begins with nothing, and leaves
 * nothing when it is disposed of.
 *
 * @throws Error when the server holds flights already.
 */
export async function borrowServer(observer: Observer): Promise<AsyncDisposable> {
  const ours = streamsOfDemo(observer);
  const { manager } = observer.connection;
  const filled: string[] = [];
  for await (const { config, state } of manager.streams.list()) {
    if (ours.includes(config.name) && state.messages > 0) filled.push(config.name);
  }
  if (filled.length > 0) {
    throw new Error(
      `The server of NATS_URL already has flights in ${filled.join(', ')}, and the demo could not tell its own from ` +
        'those. Remove the streams, or unset NATS_URL to use a private server.',
    );
  }
  return {
    [Symbol.asyncDispose]: async () => {
      for await (const name of manager.streams.names()) if (ours.includes(name)) await manager.streams.delete(name);
    },
  };
}

/** What only this flow uses: its streams, and the buckets of its objects. */
function streamsOfDemo({ airportDelays, routeDelays, routeReviews }: Observer): string[] {
  const buckets = [airportDelays, routeDelays, routeReviews].map(({ bucket }) => `KV_${bucket}`);
  return ['FLOW_flights', 'FLOW_flights_IN', ...buckets];
}
