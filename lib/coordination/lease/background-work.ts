/** Work that nobody waits for, until it has ended. */
export class BackgroundWork {
  private readonly running = new Set<Promise<void>>();
  /** What has failed, and not succeeded since. */
  private readonly failing = new Set<string>();

  /**
   * @param onEnd called after each piece of work
   * @param report takes what a piece of work failed by; not again before one of its kind has succeeded, since some are repeated for
   * as long as the server is silent
   */
  constructor(
    private readonly onEnd: () => void,
    private readonly report: (what: string, error: unknown) => void,
  ) {}

  get size(): number {
    return this.running.size;
  }

  /** @param what for the report, as a participle */
  run(what: string, work: () => Promise<void>): void {
    const running = work()
      .then(
        () => void this.failing.delete(what),
        (error: unknown) => this.fail(what, error),
      )
      .finally(() => {
        this.running.delete(running);
        this.onEnd();
      });
    this.running.add(running);
  }

  /** Resolves when nothing runs any more, with what is begun until then. */
  async ended(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }

  private fail(what: string, error: unknown): void {
    if (this.failing.has(what)) return;
    this.failing.add(what);
    this.report(what, error);
  }
}
