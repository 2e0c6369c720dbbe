import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a contender came to in one measurement. */
export interface Measured {
  /** Decisions per second. */
  readonly rate: number;
  /** Microseconds of the contender's process per decision. */
  readonly cpu: number;
}

/** What a contender is told to do. */
export interface MeasureRequest {
  readonly seconds: number;
}

/**
 * A contender in a process of its own, which stays from one measurement to the next, so that it is warm, and in between waits
 * for its parent to tell it something. It runs with the options of `node` that its parent runs with, and prints where that does.
 */
export class ContenderProcess {
  private readonly child: ChildProcess;
  private readonly ended: Promise<string>;

  /**
   * @param name of the contender, the script's first argument
   * @param script tells its parent something when it is ready, answers a {@link MeasureRequest} with {@link Measured}, and ends
   * when its parent lets go of it
   */
  constructor(
    private readonly name: string,
    script: URL,
    args: readonly string[],
  ) {
    this.child = fork(fileURLToPath(script), [name, ...args]);
    this.ended = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    });
  }

  /** Resolves when it can measure. Rejects when it ends instead, as {@link measure} does. */
  async ready(): Promise<void> {
    await this.told();
  }

  /** Has it decide for so many seconds. */
  measure(seconds: number): Promise<Measured> {
    const measured = this.told();
    const request: MeasureRequest = { seconds };
    // One that has ended is told of by that, not by its channel's being closed.
    if (this.child.connected) this.child.send(request);
    return measured as Promise<Measured>;
  }

  /** Lets go of it; resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.child.connected) this.child.disconnect();
    await this.ended;
  }

  /** What it tells next. */
  private async told(): Promise<unknown> {
    const ended = this.ended.then((how): never => {
      throw new Error(`Contender "${this.name}" has ended with ${how}; why stands above.`);
    });
    const [message] = await Promise.race([once(this.child, 'message') as Promise<unknown[]>, ended]);
    return message;
  }
}
