import { didYouMean } from '../../common/did-you-mean.js';
import type { Log } from '../../common/log.js';
import { ALL_STEPS } from '../../common/names.js';

/** Says in the log of an instance what is paused in one of its flows: what it finds at boot, and each change. */
export class PauseReport {
  private paused: ReadonlySet<string> | undefined;

  /** @param steps names of the flow's steps */
  constructor(
    private readonly flow: string,
    private readonly steps: ReadonlySet<string>,
    private readonly log: Log,
  ) {}

  /** @param paused what is paused now: names of steps, also of some that the flow does not have, and {@link ALL_STEPS} */
  tell(paused: ReadonlySet<string>): void {
    const atBoot = this.paused === undefined;
    const before = this.paused ?? new Set();
    this.paused = new Set(paused);
    for (const step of paused) if (!before.has(step)) this.tellPaused(step, atBoot);
    for (const step of before) if (!paused.has(step)) this.log.log(`${this.nameOf(step)} is resumed.`);
  }

  private tellPaused(step: string, atBoot: boolean): void {
    if (step !== ALL_STEPS && !this.steps.has(step)) {
      // A slip of the pen pauses nothing.
      this.log.warn(
        `Flow "${this.flow}": the step "${step}" is paused, but there is none of that name here.${didYouMean(step, this.steps)}` +
          ' Resume it by the same name.',
      );
    } else if (atBoot) {
      this.log.warn(`${this.nameOf(step)} is still paused: its messages wait until it is resumed.`);
    } else {
      this.log.log(`${this.nameOf(step)} is paused: what is in hand goes on, the rest waits until it is resumed.`);
    }
  }

  private nameOf(step: string): string {
    return step === ALL_STEPS ? `Flow "${this.flow}"` : `Flow "${this.flow}": step "${step}"`;
  }
}
