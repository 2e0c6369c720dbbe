/** A flight at most this late is on time. */
const ON_TIME_MINUTES = 15;

/**
 * What is kept of any number of delays. Whole numbers that are added or compared, so their order does not matter.
 * The messages `AirportDelays` and `RouteDelays` have these fields.
 */
export interface DelayFigures {
  flights: number;
  totalDelayMinutes: bigint;
  worstDelayMinutes: number;
  onTimeFlights: number;
}

/** Counts one more flight in. */
export function addDelay(figures: DelayFigures, delayMinutes: number): void {
  // The first flight is the worst one so far also when it was early.
  figures.worstDelayMinutes = figures.flights === 0 ? delayMinutes : Math.max(figures.worstDelayMinutes, delayMinutes);
  figures.flights += 1;
  figures.totalDelayMinutes += BigInt(delayMinutes);
  if (delayMinutes <= ON_TIME_MINUTES) figures.onTimeFlights += 1;
}

/** Mean delay in minutes; there must be a flight. */
export function meanDelay(figures: Pick<DelayFigures, 'flights' | 'totalDelayMinutes'>): number {
  return Number(figures.totalDelayMinutes) / figures.flights;
}

/** Share of flights on time, 0 to 1; there must be a flight. */
export function onTimeShare(figures: Pick<DelayFigures, 'flights' | 'onTimeFlights'>): number {
  return figures.onTimeFlights / figures.flights;
}
