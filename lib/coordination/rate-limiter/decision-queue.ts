import { create } from '@bufbuild/protobuf';
import { RateLimitStateSchema, type RateLimitState } from '../../codec/gen/flow/v1/rate_limit_pb.js';
import { CancelledError } from '../../common/errors.js';
import type { Quota } from './quota.js';

/** Decisions that one write may hold: bounds how long they take the event loop. */
const MAX_BATCH = 4_096;

/** How many of the units that are available somebody takes: a whole number up to that, or 0. May be asked several times; the last counts. */
export type Taker = (available: number) => number;

/** What came of a decision. */
export interface Outcome {
  readonly taken: number;
  /** The state after the decisions that were made together with this one; not to be changed. */
  readonly state: RateLimitState;
  /** When it was decided, by the server's clock. */
  readonly decidedAtMs: number;
}

/** Applies a function to a key's state, and stores what it has changed; runs it again when another process came first. */
export type ChangeState = (
  key: string,
  change: (state: RateLimitState | undefined) => { kind: 'write'; state: RateLimitState } | { kind: 'keep' },
) => Promise<unknown>;

interface Ask {
  readonly take: Taker;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
  settled: boolean;
}

/** The decisions of one key that wait, and whether some are being made. */
interface Line {
  waiting: Ask[];
  running: boolean;
}

/**
 * Makes the decisions of a limiter's keys: those of one key that are asked for while others are on their way are made together, in
 * their order, by one change of the state. When nobody takes anything, nothing is written; the state is read from the leader.
 */
export class DecisionQueue {
  private readonly lines = new Map<string, Line>();

  constructor(
    private readonly quota: Quota,
    private readonly now: () => number,
    private readonly change: ChangeState,
  ) {}

  /**
   * Decides what `take` takes.
   *
   * @throws CancelledError at once when `signal` aborts; units may be used all the same. What changing the state throws.
   */
  ask(key: string, take: Taker, signal?: AbortSignal): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const fail: (error: unknown) => void = reject;
      if (signal === undefined) return this.add(key, { take, resolve, reject, settled: false });
      const ask: Ask = {
        take,
        settled: false,
        resolve: (outcome) => {
          signal.removeEventListener('abort', onAbort);
          resolve(outcome);
        },
        reject: (error) => {
          signal.removeEventListener('abort', onAbort);
          fail(error);
        },
      };
      const onAbort = (): void => {
        ask.settled = true;
        ask.reject(new CancelledError(`A rate limit's decision about "${key}"`, { cause: signal.reason }));
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      this.add(key, ask);
    });
  }

  private add(key: string, ask: Ask): void {
    let line = this.lines.get(key);
    if (line === undefined) {
      line = { waiting: [], running: false };
      this.lines.set(key, line);
    }
    line.waiting.push(ask);
    if (line.running) return;
    line.running = true;
    void this.run(key, line);
  }

  /** Never rejects. */
  private async run(key: string, line: Line): Promise<void> {
    // Whatever is asked for in the same tick is decided together.
    await Promise.resolve();
    while (line.waiting.length > 0) {
      const asks = line.waiting.splice(0, MAX_BATCH).filter(isOpen);
      if (asks.length > 0) await this.decide(key, asks);
    }
    this.lines.delete(key);
  }

  private async decide(key: string, asks: readonly Ask[]): Promise<void> {
    let taken: number[] = [];
    let state = create(RateLimitStateSchema);
    let decidedAtMs = 0;
    try {
      await this.change(key, (before) => {
        state = before === undefined ? this.quota.unused() : this.quota.fit(before);
        decidedAtMs = this.quota.present(state, this.now());
        taken = this.takeAll(asks, state, decidedAtMs);
        return taken.some((units) => units > 0) ? { kind: 'write', state } : { kind: 'keep' };
      });
    } catch (error) {
      for (const ask of asks) if (isOpen(ask)) ask.reject(error);
      return;
    }
    asks.forEach((ask, index) => {
      if (isOpen(ask)) ask.resolve({ taken: taken[index] ?? 0, state, decidedAtMs });
    });
  }

  private takeAll(asks: readonly Ask[], state: RateLimitState, now: number): number[] {
    const before = this.quota.available(state, now);
    let available = before;
    const taken = asks.map(({ take, settled }) => {
      // Whoever has given up in the meantime takes nothing.
      const units = settled ? 0 : take(available);
      available -= units;
      return units;
    });
    // All of it at once: every algorithm counts units of one moment like that.
    if (available < before) this.quota.add(state, now, before - available);
    return taken;
  }
}

function isOpen({ settled }: Ask): boolean {
  return !settled;
}
