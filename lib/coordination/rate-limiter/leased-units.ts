import type { Outcome, Taker } from './key-decision.js';
import type { Quota, StateView } from './quota.js';
import type { RateLimitDecision } from './rate-limit-decision.js';

/** How often pools that nobody uses are cleared out. */
const SWEEP_MS = 10_000;

/** What leased units need of their limiter. */
export interface LeasedUnitsParts {
  readonly quota: Quota;
  readonly now: () => number;
  /** Most units per batch. */
  readonly size: number;
  readonly holdMs: number;
  /** Takes units from the server. */
  readonly ask: (key: string, take: Taker) => Promise<Outcome>;
  /** Told of each batch. */
  readonly onLeased: (units: number) => void;
}

interface Waiter {
  readonly cost: number;
  readonly resolve: (decision: RateLimitDecision) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  units: number;
  readonly untilMs: number;
}

/**
 * The units of one key that the process holds. They are counted on the server already, and may be used until `untilMs`: the quota
 * leaves room for their being used that late.
 */
class Pool {
  batches: Batch[] = [];
  waiting: Waiter[] = [];
  /** Units of the last batch. */
  lastSize = 0;
  refilling = false;

  /** @param view what is left as the server said last */
  constructor(public view: StateView) {}

  take(cost: number, now: number): boolean {
    const [first] = this.batches;
    // Nearly always there is one batch.
    if (first !== undefined && first.untilMs > now && first.units >= cost) {
      first.units -= cost;
      return true;
    }
    this.batches = this.batches.filter(({ untilMs, units }) => untilMs > now && units > 0);
    if (this.held < cost) return false;
    let left = cost;
    for (const batch of this.batches) {
      const taken = Math.min(left, batch.units);
      batch.units -= taken;
      left -= taken;
    }
    return true;
  }

  get held(): number {
    const { batches } = this;
    if (batches.length === 1) return (batches[0] as Batch).units;
    let units = 0;
    for (let index = 0; index < batches.length; index++) units += (batches[index] as Batch).units;
    return units;
  }
}

/** Takes units of keys in batches, and hands them out in this process. */
export class LeasedUnits {
  private readonly pools = new Map<string, Pool>();
  private sweeper: NodeJS.Timeout | undefined;

  constructor(private readonly parts: LeasedUnitsParts) {}

  /** Uses `cost` units that are held; `undefined` when there are not as many. */
  use(key: string, cost: number, now: number): RateLimitDecision | undefined {
    const pool = this.pools.get(key);
    if (pool?.take(cost, now) !== true) return undefined;
    const { held } = pool;
    if (held <= pool.lastSize / 2 && !pool.refilling) void this.refill(key, pool);
    // Without a look at the server: what is left is as it said last.
    return pool.view.leased(now, held, 'leased');
  }

  /** Takes units from the server for this and for those who come meanwhile. Rejects as taking them does. */
  consume(key: string, cost: number): Promise<RateLimitDecision> {
    return new Promise((resolve, reject) => {
      const pool = this.poolOf(key);
      pool.waiting.push({ cost, resolve, reject });
      if (!pool.refilling) void this.refill(key, pool);
    });
  }

  /** Gives up what is held of the key. */
  drop(key: string): void {
    const pool = this.pools.get(key);
    if (pool !== undefined) pool.batches = [];
  }

  close(): void {
    clearInterval(this.sweeper);
    this.pools.clear();
  }

  private poolOf(key: string): Pool {
    let pool = this.pools.get(key);
    if (pool === undefined) {
      const { quota } = this.parts;
      pool = new Pool(quota.view(quota.unused()));
      this.pools.set(key, pool);
      this.sweeper ??= setInterval(() => this.sweep(), SWEEP_MS).unref();
    }
    return pool;
  }

  /** Takes batches until nobody waits. Never rejects. */
  private async refill(key: string, pool: Pool): Promise<void> {
    pool.refilling = true;
    let { waiting } = pool;
    do {
      pool.waiting = [];
      await this.refillFor(key, pool, waiting);
      waiting = this.serve(pool);
    } while (waiting.length > 0);
    pool.waiting = [];
    pool.refilling = false;
  }

  /** Hands what is held to those who came while it was taken: for them no other batch is needed. @returns who got nothing. */
  private serve(pool: Pool): Waiter[] {
    const now = this.parts.now();
    return pool.waiting.filter(({ cost, resolve }) => {
      if (!pool.take(cost, now)) return true;
      resolve(pool.view.leased(now, pool.held, 'leased'));
      return false;
    });
  }

  private async refillFor(key: string, pool: Pool, waiting: readonly Waiter[]): Promise<void> {
    const { ask, quota, holdMs, now, onLeased } = this.parts;
    const demand = waiting.reduce((sum, { cost }) => sum + cost, 0);
    const size = this.nextSize(pool, now());
    let outcome: Outcome;
    try {
      // Of what is left, others shall find something too.
      outcome = await ask(key, (available) =>
        Math.max(0, Math.min(available, Math.max(demand, Math.min(size, Math.floor(available / 2))))),
      );
    } catch (error) {
      // Without a waiter it was taken ahead; whoever needs it asks again, and is told.
      for (const { reject } of waiting) reject(error);
      return;
    }
    const { taken, state, decidedAtMs } = outcome;
    pool.view = quota.view(state);
    pool.lastSize = taken;
    if (taken > 0) {
      onLeased(taken);
      pool.batches.push({ units: taken, untilMs: Math.min(decidedAtMs + holdMs, quota.usableUntil(state)) });
    }
    // What was taken for them is theirs, also when the answer took longer than units are held.
    let own = Math.min(taken, demand);
    for (const { cost, resolve } of waiting) {
      if (cost <= own) {
        own -= cost;
        spend(pool, cost);
        resolve(pool.view.leased(decidedAtMs, pool.held, 'store'));
      } else resolve(quota.decision(state, decidedAtMs, false, cost));
    }
  }

  /** Twice the last batch when it was used up in time, else what was used of it. */
  private nextSize(pool: Pool, now: number): number {
    const unused = pool.batches.reduce((sum, batch) => sum + batch.units, 0);
    const expired = pool.batches.some((batch) => batch.untilMs <= now && batch.units > 0);
    const wanted = expired ? pool.lastSize - unused : 2 * pool.lastSize;
    return Math.min(this.parts.size, Math.max(1, wanted));
  }

  private sweep(): void {
    const now = this.parts.now();
    for (const [key, pool] of this.pools) {
      const idle = !pool.refilling && pool.batches.every(({ untilMs }) => untilMs <= now);
      if (idle) this.pools.delete(key);
    }
    if (this.pools.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }
}

/** Takes units out of the newest batches, whatever their time. */
function spend({ batches }: Pool, cost: number): void {
  let left = cost;
  for (let index = batches.length - 1; index >= 0 && left > 0; index--) {
    const batch = batches[index] as Batch;
    const taken = Math.min(left, batch.units);
    batch.units -= taken;
    left -= taken;
  }
}
