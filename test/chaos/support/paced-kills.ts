import { until } from '../../support/until.js';

const PATIENCE_MS = 120_000;
/** How many shares of runs are let in before the kill of the first of them. */
const AHEAD = 2;

/** What {@link PacedKills} paces. */
export interface PacedKillsSettings {
  /** How many runs are started in all. */
  readonly runs: number;
  readonly kills: number;
  readonly random: () => number;
  /** How many runs are started and have not ended. */
  readonly unfinished: () => Promise<number>;
}

/**
 * Kills at random moments of the work: as many runs as are a kill's share end between two kills, on the average. Runs are
 * let in only as far as the kills have come, so that none comes when all is done; two shares ahead, so that a kill need not
 * wait for what the one before has left to lie.
 */
export class PacedKills {
  /** How many runs were unfinished when each kill came. */
  readonly unfinished: number[] = [];
  private started = 0;
  private allowed: number;
  private wake: (() => void)[] = [];
  private readonly share: number;

  constructor(private readonly settings: PacedKillsSettings) {
    this.share = settings.runs / (settings.kills + 1);
    this.allowed = AHEAD * this.share;
  }

  /** Starts run `number` with `start` when it is its turn. */
  async admit(number: number, start: () => Promise<unknown>): Promise<void> {
    while (number >= this.allowed) await new Promise<void>((resolve) => this.wake.push(resolve));
    await start();
    this.started += 1;
  }

  /** Does all kills, one after the other. */
  async run(kill: () => Promise<void>): Promise<void> {
    for (let done = 0; done < this.settings.kills; done += 1) {
      const moment = (done + this.settings.random()) * this.share;
      const unfinished = await until(() => this.unfinishedAt(moment), {
        what: `the moment of kill ${done + 1}`,
        timeoutMs: PATIENCE_MS,
        intervalMs: 50,
      });
      this.unfinished.push(unfinished);
      await kill();
      this.allow((done + 1 + AHEAD) * this.share);
    }
    this.allow(Infinity);
  }

  private allow(runs: number): void {
    this.allowed = Math.max(this.allowed, runs);
    for (const wake of this.wake.splice(0)) wake();
  }

  /** How many runs are unfinished once `ended` have ended; nothing before that. */
  private async unfinishedAt(ended: number): Promise<number | undefined> {
    const { started } = this;
    const unfinished = await this.settings.unfinished();
    if (started - unfinished < ended) return undefined;
    // This process was too slow to see it while there was work. Let some more in.
    if (unfinished === 0) this.allow(this.allowed + this.share / 4);
    return unfinished;
  }
}
