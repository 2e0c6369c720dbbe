import type { Closable } from './flow-resources.js';

/**
 * The boot of one application, over all of its connections. When one part of it fails, nothing that others have
 * opened may keep the process alive: nobody gets a handle to close it by.
 */
export class FlowBoot {
  private readonly failure = new AbortController();
  private readonly opened = new Set<Closable>();

  /** Aborts when a part of the boot fails: for what waits, for example for a server. */
  get signal(): AbortSignal {
    return this.failure.signal;
  }

  /** Has `closable` closed when the boot fails; at once when it has failed already. */
  async opens(closable: Closable): Promise<void> {
    this.opened.add(closable);
    if (this.signal.aborted) await closable.close();
  }

  /** Does a part of the boot. When it throws, all that was opened is closed before the error goes on. */
  async part<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.abandon(error);
      throw error;
    }
  }

  /** Closes all that was opened, since the boot failed for `reason`. */
  async abandon(reason?: unknown): Promise<void> {
    this.failure.abort(reason);
    await Promise.all([...this.opened].map(async (closable) => closable.close()));
  }
}
