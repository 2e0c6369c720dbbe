import type { Limit } from '../../../../lib/coordination/rate-limiter/algorithms/limit-algorithm.js';

/** Units that were used at a time, in milliseconds. */
export interface Used {
  readonly at: number;
  readonly units: number;
}

/** What is available after `uses`, by the definition of the algorithm; nothing is folded into a state. */
export type Model = (limit: Limit, uses: readonly Used[], now: number) => number;

const total = (uses: readonly Used[]): number => uses.reduce((sum, { units }) => sum + units, 0);

/** In every span that ends now, at most the burst was used, plus what the rate gives for the span. */
const gcra: Model = ({ limit, windowMs, burst }, uses, now) => {
  const spans = uses.map(({ at }) => {
    const used = total(uses.filter((use) => use.at >= at));
    return burst + ((now - at) * limit) / windowMs - used;
  });
  return Math.floor(Math.min(burst, ...spans) + 1e-6);
};

const fixedWindow: Model = ({ limit, windowMs }, uses, now) => {
  let start = -Infinity;
  let used = 0;
  for (const { at, units } of uses) {
    if (at >= start + windowMs) [start, used] = [at, 0];
    used += units;
  }
  return now >= start + windowMs ? limit : limit - used;
};

const slidingWindow: Model = ({ limit, windowMs }, uses, now) => {
  const windowOf = (time: number): number => Math.floor(time / windowMs);
  const current = total(uses.filter(({ at }) => windowOf(at) === windowOf(now)));
  const previous = total(uses.filter(({ at }) => windowOf(at) === windowOf(now) - 1));
  const passed = (now - windowOf(now) * windowMs) / windowMs;
  return Math.floor(limit - current - previous * (1 - passed) + 1e-6);
};

const slidingLog: Model = ({ limit, windowMs }, uses, now) =>
  limit - total(uses.filter(({ at }) => at > now - windowMs));

export const models = {
  gcra,
  'fixed-window': fixedWindow,
  'sliding-window': slidingWindow,
  'sliding-log': slidingLog,
} satisfies Record<Limit['algorithm'], Model>;
