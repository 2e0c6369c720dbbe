import { ConnectionError } from '../../common/errors.js';
import { orAborted } from '../../store/engine/or-aborted.js';
import type { RateLimitMeter } from '../../telemetry/rate-limit-meter.js';
import type { BlockedKeys } from './blocked-keys.js';
import type { Outcome } from './key-decision.js';
import { checkCost, isCost } from './limiter-key.js';
import type { LimiterRoom } from './limiter-room.js';
import type { Quota } from './quota.js';
import type { RateLimitDecision } from './rate-limit-decision.js';
import type { Question, StoreFallback } from './store-fallback.js';
import { WaitingLines, type Attempt } from './waiting-lines.js';

/** What a call of a limiter may say. */
export interface RateLimitCallOptions {
  /** Units: a whole number from 1, at most what can be available at once. @default 1 */
  readonly cost?: number;
  /**
   * Gives up when it aborts. What was on its way to the server then may be used up all the same.
   */
  readonly signal?: AbortSignal;
}

/** What a limiter is made of. */
export interface RateLimiterParts {
  readonly name: string;
  readonly quota: Quota;
  /** What is there once the bucket and the clock are. */
  readonly open: () => Promise<LimiterRoom>;
  /** The same; fails after the limiter's timeout, while the server may still be waited for. */
  readonly openSoon: () => Promise<LimiterRoom>;
  readonly blocked: BlockedKeys;
  readonly fallback: StoreFallback;
  readonly meter: RateLimitMeter;
  /** Nobody waits any more from when it aborts. */
  readonly stopping: AbortSignal;
}

/**
 * Limits how often something is done with a key, over all processes that use a limiter of this name. Inject it with
 * `@InjectRateLimiter(name)`.
 *
 * - **Exact**: decisions about a key are made one after the other on the server's state of it, by compare-and-set: however many
 *   processes ask at once, no more than the limit are allowed, and no fewer. A decision whose answer was lost may have used its
 *   units. With `precision: 'leased'` never more; somewhat fewer, see there.
 * - A denial writes nothing. A key that this process knows to be at its limit is denied without a round trip until units are back;
 *   `reward` and `reset` in another process are seen only then.
 * - **Time** is the server's; clocks of processes do not matter. In a cluster it is that of the server that leads the stream
 *   `FLOW_CLOCK`.
 * - Keys are any text; those of more than 256 characters are stored under their hash. An idle key expires.
 *
 * Promises reject with a `FlowError` when the server does not answer within the limiter's `timeout`, unless `onStoreError` says
 * otherwise: that of `consume`, `waitFor` and `peek`. `penalty`, `reward` and `reset` have nothing to change then, and always reject.
 */
export class RateLimiter {
  private room: LimiterRoom | undefined;
  private closed = false;
  private readonly lines: WaitingLines;

  /** @internal Made by `forFeature` and `Coordination`. */
  constructor(private readonly parts: RateLimiterParts) {
    this.lines = new WaitingLines(parts.name, (key, costs) => this.serve(key, costs), parts.stopping);
  }

  /** As in the options. */
  get name(): string {
    return this.parts.name;
  }

  /** Most units that can be available at once: the largest `cost` that can be allowed. */
  get capacity(): number {
    return this.parts.quota.capacity;
  }

  /**
   * Uses `cost` units of `key`, of every limit, or of none; does not wait.
   *
   * @throws ConfigurationError when the cost can never be allowed, CancelledError when `signal` aborts.
   */
  consume(key: string, options: RateLimitCallOptions = NO_OPTIONS): Promise<RateLimitDecision> {
    const { cost = 1, signal } = options;
    const { room } = this;
    // What makes no sense is told of below.
    if (room !== undefined && signal?.aborted !== true && isCost(cost, this.parts.quota.capacity)) {
      const local = this.decideHere(room, key, cost);
      if (local !== undefined) return Promise.resolve(local);
      if (room.isPlain && !this.parts.fallback.decides) return this.decideBy(room, key, cost, signal);
    }
    return this.decide(key, cost, signal);
  }

  /**
   * Waits until `cost` units of `key` are available, and uses them. In this process first come, first served, per key; between
   * processes whoever asks first. Give a `signal` to bound the wait.
   *
   * @throws ConfigurationError when the cost can never be allowed, CancelledError when `signal` aborts, ConnectionError when the
   * limiter is closed, or the application stops and there is something to wait for.
   */
  async waitFor(key: string, { cost = 1, signal }: RateLimitCallOptions = {}): Promise<RateLimitDecision> {
    checkCost(this.name, cost, this.parts.quota.capacity);
    return this.lines.wait(key, cost, signal);
  }

  /** What {@link consume} would decide now, without using anything. Units that processes have leased count as used. */
  async peek(key: string, { cost = 1, signal }: RateLimitCallOptions = {}): Promise<RateLimitDecision> {
    const { quota, fallback } = this.parts;
    checkCost(this.name, cost, quota.capacity);
    try {
      const room = await this.opened(signal);
      const state = await room.read(key, fallback.decides, signal);
      const now = room.clock.now();
      fallback.answered();
      return quota.decision(state, now, quota.available(state, now) >= cost, cost);
    } catch (error) {
      return this.standIn('peek', key, cost, error);
    }
  }

  /**
   * Uses `cost` units whether they are available or not: the key goes into debt, by one capacity at most. @returns what
   * {@link consume} of 1 would decide then.
   */
  penalty(key: string, { cost = 1, signal }: RateLimitCallOptions = {}): Promise<RateLimitDecision> {
    return this.adjust('penalty', key, cost, signal);
  }

  /** Gives `cost` units back, no more than are used. @returns what {@link consume} of 1 would decide then. */
  reward(key: string, { cost = 1, signal }: RateLimitCallOptions = {}): Promise<RateLimitDecision> {
    return this.adjust('reward', key, -cost, signal);
  }

  /**
   * Gives all units of the key back. With `precision: 'leased'`, other processes still hand out what they hold by then: up to one and
   * a half times `lease.size` each, beyond the limit that begins anew.
   */
  async reset(key: string, { signal }: Pick<RateLimitCallOptions, 'signal'> = {}): Promise<void> {
    const room = await this.opened(signal);
    await room.remove(key, signal);
    room.leases?.drop(key);
    this.parts.blocked.lift(key);
    this.lines.wake(key);
  }

  /** Resolves when the server has the limiter's bucket, and its clock is measured; else that is done on first use. */
  async ready(): Promise<void> {
    await this.opened(undefined, this.parts.open);
  }

  /** Rejects who waits, and later calls. */
  close(): Promise<void> {
    this.closed = true;
    this.lines.close();
    this.room?.leases?.close();
    this.room = undefined;
    return Promise.resolve();
  }

  private async opened(signal: AbortSignal | undefined, open = this.parts.openSoon): Promise<LimiterRoom> {
    this.checkOpen();
    const room = this.room ?? (await orAborted(open(), `call of rate limiter "${this.name}"`, signal));
    // Meanwhile it may have been closed.
    this.checkOpen();
    return (this.room ??= room);
  }

  private checkOpen(): void {
    if (this.closed) throw new ConnectionError(`Rate limiter "${this.name}" is closed.`);
  }

  /** The decision in place of one that failed; of a closed limiter nobody else makes it. */
  private standIn(question: Question, key: string, cost: number, error: unknown): Promise<RateLimitDecision> {
    this.checkOpen();
    return this.parts.fallback.decide(question, key, cost, error);
  }

  /** What this process can decide alone. */
  private decideHere(room: LimiterRoom, key: string, cost: number): RateLimitDecision | undefined {
    const { blocked, meter } = this.parts;
    const now = room.clock.now();
    const decision = room.leases?.use(key, cost, now) ?? blocked.deny(key, cost, now);
    if (decision !== undefined) meter.decided(decision.source, decision.allowed);
    return decision;
  }

  private async decide(key: string, cost: number, signal: AbortSignal | undefined): Promise<RateLimitDecision> {
    const { quota, fallback } = this.parts;
    checkCost(this.name, cost, quota.capacity);
    try {
      const room = await this.opened(signal);
      return await room.traced('consume', key, fallback.decides, () => this.decideBy(room, key, cost, signal));
    } catch (error) {
      return this.told(await this.standIn('consume', key, cost, error));
    }
  }

  /** Decides by what the room holds or the server says. */
  private decideBy(
    room: LimiterRoom,
    key: string,
    cost: number,
    signal: AbortSignal | undefined,
  ): Promise<RateLimitDecision> {
    const { quota, fallback } = this.parts;
    const answered = (decision: RateLimitDecision): RateLimitDecision => {
      fallback.answered();
      return this.told(decision);
    };
    if (room.leases !== undefined)
      return orAborted(room.leases.consume(key, cost), `rate limit of "${key}"`, signal).then(answered);
    const answer = ({ state, decidedAtMs, taken }: Outcome): RateLimitDecision =>
      answered(quota.decision(state, decidedAtMs, taken > 0, cost));
    return room.ask(key, cost === 1 ? takeOne : (available) => (available >= cost ? cost : 0), answer, signal);
  }

  /** Counts a decision. */
  private told(decision: RateLimitDecision): RateLimitDecision {
    this.parts.meter.decided(decision.source, decision.allowed);
    return decision;
  }

  /** Serves those at the front of a line. */
  private async serve(key: string, costs: readonly number[]): Promise<Attempt> {
    const [first = 1] = costs;
    const { quota, blocked, meter } = this.parts;
    const { room } = this;
    const denied = room === undefined ? undefined : blocked.deny(key, first, room.clock.now());
    if (denied !== undefined) return { served: 0, decision: denied };
    if (room === undefined || room.leases !== undefined || room.isAway) {
      const decision = await this.consume(key, { cost: first });
      return { served: decision.allowed ? 1 : 0, decision };
    }
    let outcome: Outcome;
    let served = 0;
    try {
      outcome = await room.traced('waitFor', key, this.parts.fallback.decides, () =>
        room.ask(
          key,
          (available) => {
            let units = 0;
            served = 0;
            for (const cost of costs) {
              if (units + cost > available) break;
              units += cost;
              served += 1;
            }
            return units;
          },
          (decided) => decided,
        ),
      );
      this.parts.fallback.answered();
    } catch (error) {
      const decision = await this.standIn('consume', key, first, error);
      meter.decided(decision.source, decision.allowed);
      return { served: decision.allowed ? 1 : 0, decision };
    }
    for (let index = 0; index < served; index++) meter.decided('store', true);
    const decision = quota.decision(outcome.state, outcome.decidedAtMs, served > 0, first);
    return { served, decision };
  }

  private async adjust(
    operation: string,
    key: string,
    units: number,
    signal: AbortSignal | undefined,
  ): Promise<RateLimitDecision> {
    const { quota, blocked } = this.parts;
    checkCost(this.name, Math.abs(units), Number.MAX_SAFE_INTEGER);
    const room = await this.opened(signal);
    const { state, now } = await room.traced(operation, key, false, () => room.adjust(key, units, signal));
    room.leases?.drop(key);
    blocked.lift(key);
    blocked.learn(key, state, now, false);
    this.lines.wake(key);
    return quota.decision(state, now, quota.available(state, now) >= 1, 1);
  }
}

const NO_OPTIONS: RateLimitCallOptions = {};

/** Takes one unit. */
function takeOne(available: number): number {
  return available >= 1 ? 1 : 0;
}
