import { meanDelay, onTimeShare, type DelayFigures } from '../delays/delay-figures.js';
import type { RouteReviews } from '../gen/flights/v1/delays_pb.js';

/** Figures by key, as text that is equal when every figure is. */
export type FiguresByKey = ReadonlyMap<string, string>;

/** What differs, a line for each key; empty when nothing does. */
export function compareFigures(what: string, expected: FiguresByKey, actual: FiguresByKey): string[] {
  return [...new Set([...expected.keys(), ...actual.keys()])].sort().flatMap((key) => {
    const [should, is] = [expected.get(key), actual.get(key)];
    return should === is ? [] : [`${what} ${key}: should be ${should ?? 'absent'}, is ${is ?? 'absent'}`];
  });
}

/** The figures of delays, from the delays themselves. */
export function describeDelays(delays: readonly number[]): string {
  const total = delays.reduce((sum, delay) => sum + delay, 0);
  const onTime = delays.filter((delay) => delay <= 15).length;
  return delayText(delays.length, total, total / delays.length, Math.max(...delays), onTime / delays.length);
}

/** The figures of delays, from a state object. */
export function describeDelayFigures(figures: DelayFigures): string {
  const { flights, totalDelayMinutes, worstDelayMinutes } = figures;
  return delayText(flights, totalDelayMinutes, meanDelay(figures), worstDelayMinutes, onTimeShare(figures));
}

/** The figures of reported distances, from the distances themselves. */
export function describeDistances(miles: readonly number[]): string {
  return distanceText(miles.length, Math.min(...miles), Math.max(...miles));
}

/** The figures of reported distances, from a state object. */
export function describeReviews(reviews: RouteReviews): string {
  return distanceText(reviews.flights, reviews.shortestReportedMiles, reviews.longestReportedMiles);
}

function delayText(count: number, total: number | bigint, mean: number, worst: number, onTime: number): string {
  return `${count} flights, ${total} minutes, mean ${mean}, worst ${worst}, on time ${onTime}`;
}

function distanceText(count: number, shortest: number, longest: number): string {
  return `${count} flights, ${shortest} to ${longest} miles`;
}
