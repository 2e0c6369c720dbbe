import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { describeThrown } from '../../common/describe-thrown.js';
import { coordinationBucket, FlowHeader, isValidName } from '../../common/names.js';
import type { Log } from '../../common/log.js';
import type { Coordination } from '../../coordination/coordination.js';
import type { RateLimiter } from '../../coordination/rate-limiter/rate-limiter.js';
import type { Delivery } from '../../stream/delivery.js';
import type { StepNode } from '../graph/step-node.js';
import type { StepRateSettings } from '../step-rate.options.js';
import { openMessage, toFlowMessage, type MessageSource } from './step-message.js';

/** Has the messages of a step wait until their rate allows them to begin. */
export class StepRate {
  /** Messages of one key begin one after the other; each follows the one before it. */
  private readonly lasts = new Map<string, Promise<void>>();
  private readonly abort = new AbortController();

  private constructor(
    private readonly node: StepNode,
    private readonly settings: StepRateSettings,
    private readonly limiter: RateLimiter,
    private readonly place: string,
    private readonly log: Log,
  ) {
    // All messages that wait listen to the one signal; Node would take more than ten for a leak.
    setMaxListeners(0, this.abort.signal);
  }

  /** The rate of a step; `undefined` when it has none. */
  static of(flow: string, node: StepNode, coordination: Coordination, log: Log): StepRate | undefined {
    if (node.rate === undefined) return undefined;
    const place = `${flow}/${node.name}`;
    const options = {
      name: place,
      limits: [node.rate.limit],
      lease: undefined,
      // The message waits on, as it would for the step's own publishes.
      onStoreError: 'deny',
      timeoutMs: 5_000,
      blockedKeys: 10_000,
    } as const;
    const limiter = coordination.stepRateLimiter(options, rateBucket(flow, node.name));
    return new StepRate(node, node.rate, limiter, place, log);
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

  /** Waits for the turn of any message. @throws CancelledError after {@link stop}. */
  async wait(delivery: Delivery): Promise<void> {
    if (!isFiltered(delivery)) await this.limiter.waitFor(this.place, { signal: this.abort.signal });
  }

  /**
   * Waits for the turn of a message by its key, then for `enter`, which lets it begin; the next of the key follows.
   *
   * @throws CancelledError after {@link stop}.
   */
  async waitByKey(delivery: Delivery, source: MessageSource, enter: () => Promise<void>): Promise<void> {
    const key = this.keyOf(delivery, source);
    if (key === undefined) return enter();
    const before = this.lasts.get(key);
    const turn = (async () => {
      await before;
      await this.limiter.waitFor(`${this.place}/${key}`, { signal: this.abort.signal });
      await enter();
    })();
    // The next one waits for the end of this turn, however it ends; who fails here hears of it itself.
    const ended = turn.then(nothing, nothing);
    this.lasts.set(key, ended);
    try {
      await turn;
    } finally {
      if (this.lasts.get(key) === ended) this.lasts.delete(key);
    }
  }

  /** Those that wait are to be handed back. */
  stop(): void {
    this.abort.abort();
  }

  /** `undefined`: the message does not come to the handler anyway. */
  private keyOf(delivery: Delivery, source: MessageSource): string | undefined {
    const message = openMessage(delivery, source, this.node);
    if (message.filtered || 'error' in message.input) return undefined;
    try {
      return String(this.settings.key?.(message.input.value, toFlowMessage(delivery, source)));
    } catch (error) {
      this.log.error(
        `Run "${message.runId}": the rate's key of step "${this.node.name}" threw; all such messages share one rate: ` +
          describeThrown(error),
      );
      return '';
    }
  }
}

/** The bucket of a step's rate. Names of flows and steps are as long as names of buckets: long ones end in a hash. */
function rateBucket(flow: string, step: string): string {
  const bucket = coordinationBucket('rate', `${flow}_${step}`);
  if (isValidName(bucket)) return bucket;
  const hash = createHash('sha256').update(`${flow}/${step}`).digest('hex').slice(0, 12);
  return `${bucket.slice(0, 51)}_${hash}`;
}

function isFiltered({ headers }: Delivery): boolean {
  return headers !== undefined && headers.get(FlowHeader.filtered) !== '';
}

function nothing(): void {
  // Told to whoever waits for the turn itself.
}
