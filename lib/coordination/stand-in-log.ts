import { describeThrown } from '../common/describe-thrown.js';
import type { Log } from '../common/log.js';

/** Logs once that something decides in the server's place, and once that it has ended. */
export class StandInLog {
  private standing = false;

  /** @param who decides: `Rate limiter "api"` */
  constructor(
    private readonly who: string,
    private readonly log: Log,
  ) {}

  /** The server has not decided, but `means`. */
  standsIn(means: string, error: unknown): void {
    if (this.standing) return;
    this.standing = true;
    this.log.warn(`${this.who} decides by ${means} until the server answers: ${describeThrown(error)}`);
  }

  /** The server has answered. */
  answered(): void {
    if (!this.standing) return;
    this.standing = false;
    this.log.log(`${this.who} decides by the server again.`);
  }
}
