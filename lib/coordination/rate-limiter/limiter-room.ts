import type { RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { ConnectionError } from '../../common/errors.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import { within } from '../../connection/within.js';
import type { FlowTracer } from '../../telemetry/tracer.js';
import type { BlockedKeys } from './blocked-keys.js';
import { DecisionQueue } from './decision-queue.js';
import type { Outcome, Taker } from './key-decision.js';
import { LeasedUnits, type LeasedUnitsParts } from './leased-units.js';
import type { ChangingStates, LimitStates } from './limit-states.js';
import type { Quota } from './quota.js';

/** What a limiter has opened. */
export interface LimiterRoomParts {
  readonly connection: Pick<FlowConnection, 'status'>;
  readonly states: LimitStates;
  /** The server's clock. */
  readonly clock: { now(): number };
  readonly tracer: FlowTracer;
  readonly quota: Quota;
  readonly blocked: BlockedKeys;
  readonly timeoutMs: number;
  readonly lease: Pick<LeasedUnitsParts, 'size' | 'holdMs' | 'onLeased'> | undefined;
}

/** The bucket of a limiter, and what stands on it in this process. */
export class LimiterRoom {
  readonly clock: { now(): number };
  readonly leases: LeasedUnits | undefined;
  private readonly decisions: DecisionQueue;

  constructor(private readonly parts: LimiterRoomParts) {
    const { quota, clock, lease, states } = parts;
    const now = (): number => clock.now();
    this.clock = clock;
    this.decisions = new DecisionQueue(quota, now, states, parts.timeoutMs);
    if (lease !== undefined)
      this.leases = new LeasedUnits({ ...lease, quota, now, ask: (key, take) => this.ask(key, take, itself) });
  }

  /** A decision needs nothing but the server's: no units are leased, and nothing traces. */
  get isPlain(): boolean {
    return this.leases === undefined && !this.parts.tracer.isActive;
  }

  get bucket(): string {
    return this.parts.states.bucket;
  }

  /** Resolves when what is under way has ended; whoever uses it takes care that nothing else comes. */
  async close(): Promise<void> {
    await this.decisions.drain();
    await this.parts.states.close();
  }

  /** There is no connection right now. */
  get isAway(): boolean {
    return this.parts.connection.status !== 'connected';
  }

  /** Decides on the server; see {@link DecisionQueue.ask}. */
  ask<T>(key: string, take: Taker, answer: (outcome: Outcome) => T, signal?: AbortSignal): Promise<T> {
    const learn = (outcome: Outcome): T => {
      this.parts.blocked.learn(key, outcome.state, outcome.decidedAtMs, outcome.taken === 0);
      return answer(outcome);
    };
    return this.decisions.ask(key, take, learn, signal);
  }

  /** Counts units of a key, whether they are available or not; negative ones are given back. */
  async adjust(
    key: string,
    units: number,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly state: RateLimitState; readonly now: number }> {
    const { states, quota } = this.parts;
    let state = quota.unused();
    let now = 0;
    const change = (changing: ChangingStates): void => {
      const before = changing.get(key);
      state = before === undefined ? quota.unused() : quota.fit(before);
      now = quota.present(state, this.clock.now());
      quota.add(state, now, units);
      changing.put(key, state);
    };
    await states.change(states.laneOf(key), change, signal);
    return { state, now };
  }

  /**
   * The state of a key, from the leader; `impatient` as in {@link traced}.
   *
   * @throws ConnectionError after the limiter's timeout: a read of the store has a request's time, which may be much longer.
   */
  async read(key: string, impatient: boolean, signal: AbortSignal | undefined): Promise<RateLimitState> {
    const { states, quota, timeoutMs } = this.parts;
    this.checkPatience(impatient);
    const state = await within(timeoutMs, `A look at "${key}" in bucket "${states.bucket}"`, states.read(key, signal));
    return state === undefined ? quota.unused() : quota.fit(state);
  }

  /** Deletes the state of a key. */
  async remove(key: string, signal: AbortSignal | undefined): Promise<void> {
    await this.parts.states.remove(key, signal);
  }

  /**
   * Runs an operation inside a span.
   *
   * @param impatient the answer is not waited for while there is no connection
   * @throws ConnectionError then.
   */
  traced<T>(operation: string, key: string, impatient: boolean, fn: () => Promise<T>): Promise<T> {
    const { tracer, states } = this.parts;
    return tracer.storeOperation(operation, { bucket: states.bucket, key }, () => {
      this.checkPatience(impatient);
      return fn();
    });
  }

  private checkPatience(impatient: boolean): void {
    if (impatient && this.isAway) throw new ConnectionError('The connection is lost.');
  }
}

function itself(outcome: Outcome): Outcome {
  return outcome;
}
