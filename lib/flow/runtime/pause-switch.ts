/** Whether a step is paused, for messages that are in hand and have not begun. */
export class PauseSwitch {
  private resumed: (() => void)[] | undefined;

  /** No message may begin. */
  get isPaused(): boolean {
    return this.resumed !== undefined;
  }

  pause(): void {
    this.resumed ??= [];
  }

  /** Lets those go on who wait. */
  resume(): void {
    const waiting = this.resumed ?? [];
    this.resumed = undefined;
    for (const resolve of waiting) resolve();
  }

  /** Resolves as soon as it is not paused. */
  whenResumed(): Promise<void> {
    if (this.resumed === undefined) return Promise.resolve();
    const { resumed } = this;
    return new Promise((resolve) => resumed.push(resolve));
  }
}
