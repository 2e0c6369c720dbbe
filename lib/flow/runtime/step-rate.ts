import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describeThrown } from '../../common/describe-thrown.js';
import { CancelledError } from '../../common/errors.js';
import { coordinationBucket, FlowHeader, isValidName, type FlowNames } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { FlowConnection } from '../../connection/flow-connection.js';
import type { Coordination } from '../../coordination/coordination.js';
import type { RateLimiter } from '../../coordination/rate-limiter/rate-limiter.js';
import type { Delivery } from '../../stream/delivery.js';
import type { StepNode } from '../graph/step-node.js';
import type { StepRateSettings } from '../step-rate.options.js';
import { openMessage, toFlowMessage, type MessageSource } from './step-message.js';
import { UnbegunDeliveries } from './unbegun-deliveries.js';

/** Longest time until the limiter is asked again: somebody may have given units back. */
const LONGEST_PAUSE_MS = 60_000;

/** What a rate needs of the process. */
export interface StepRateHost {
  readonly connection: FlowConnection;
  readonly coordination: Coordination;
  readonly log: Log;
}

/** How fast the messages of a step may begin. */
export class StepRate {
  /** Messages of one key begin one after the other; each follows the one before it. */
  private readonly lasts = new Map<string, Promise<void>>();
  private readonly abort = new AbortController();

  private constructor(
    private readonly node: StepNode,
    private readonly settings: StepRateSettings,
    private readonly limiter: RateLimiter,
    private readonly place: string,
    /** Which deliveries were no attempts. */
    readonly unbegun: UnbegunDeliveries,
    private readonly log: Log,
  ) {
    // All messages that wait listen to the one signal; Node would take more than ten for a leak.
    setMaxListeners(0, this.abort.signal);
  }

  /** The rate of a step; `undefined` when it has none. */
  static of(names: FlowNames, node: StepNode, { connection, coordination, log }: StepRateHost): StepRate | undefined {
    if (node.rate === undefined) return undefined;
    const { flow } = names;
    const place = `${flow}/${node.name}`;
    const options = {
      name: place,
      limits: [node.rate.limit],
      lease: undefined,
      // The message waits on, as it would for the step's own publishes.
      onStoreError: 'deny',
      timeoutMs: 5_000,
      blockedKeys: 10_000,
      shards: undefined,
    } as const;
    const limiter = coordination.stepRateLimiter(options, rateBucket(flow, node.name));
    const unbegun = new UnbegunDeliveries(connection, names, node.name, log);
    return new StepRate(node, node.rate, limiter, place, unbegun, log);
  }

  /** Whether messages have keys with a rate each. */
  get byKey(): boolean {
    return this.settings.key !== undefined;
  }

  /** Messages that may be held for their turn, beside those that run. */
  get waiting(): number {
    return this.byKey ? this.settings.waiting : 0;
  }

  /** Resolves when the bucket is there. */
  ready(): Promise<void> {
    return this.limiter.ready();
  }

  /** What a message is counted by; `undefined` when it does not come to the handler anyway. */
  keyOf(delivery: Delivery, source: MessageSource): string | undefined {
    if (!this.byKey) return isFiltered(delivery) ? undefined : this.place;
    const message = openMessage(delivery, source, this.node);
    if (message.filtered || 'error' in message.input) return undefined;
    try {
      return `${this.place}/${this.settings.key?.(message.input.value, toFlowMessage(delivery, source))}`;
    } catch (error) {
      this.log.error(
        `Run "${message.runId}": the rate's key of step "${this.node.name}" threw; all such messages share one rate: ` +
          describeThrown(error),
      );
      return `${this.place}/`;
    }
  }

  /** Takes a unit for a message that can begin at once. @returns 0, or milliseconds after which to ask again. */
  async take(key: string): Promise<number> {
    const { allowed, retryAfterMs } = await this.limiter.consume(key, { signal: this.abort.signal });
    return allowed ? 0 : Math.min(Math.max(1, retryAfterMs), LONGEST_PAUSE_MS);
  }

  /** Lets time pass. @throws CancelledError after {@link stop}. */
  async pause(ms: number): Promise<void> {
    const { signal } = this.abort;
    try {
      await delay(ms, undefined, { signal });
    } catch (cause) {
      throw new CancelledError(`The rate of step "${this.node.name}"`, { cause });
    }
  }

  /** Has the messages of a key begin one after the other, as they came. @param begin ends when the message has begun */
  async inTurn<T>(key: string, begin: () => Promise<T>): Promise<T> {
    const before = this.lasts.get(key);
    const turn = before === undefined ? begin() : before.then(begin);
    // The next one waits for the end of this turn, however it ends; who fails here hears of it itself.
    const ended = turn.then(nothing, nothing);
    this.lasts.set(key, ended);
    try {
      return await turn;
    } finally {
      if (this.lasts.get(key) === ended) this.lasts.delete(key);
    }
  }

  /** Those that wait are to be handed back. */
  stop(): void {
    this.abort.abort();
  }
}

/**
 * The bucket of a step's rate. Flow and step are told apart at the first `_`: flows that have one in their names, and names that
 * are too long for a bucket, end in a hash.
 */
function rateBucket(flow: string, step: string): string {
  const bucket = coordinationBucket('rate', `${flow}_${step}`);
  if (isValidName(bucket) && !flow.includes('_')) return bucket;
  const hash = createHash('sha256').update(`${flow}/${step}`).digest('hex').slice(0, 12);
  return `${bucket.slice(0, 51)}_${hash}`;
}

function isFiltered({ headers }: Delivery): boolean {
  return headers !== undefined && headers.get(FlowHeader.filtered) !== '';
}

function nothing(): void {
  // Told to whoever waits for the turn itself.
}
