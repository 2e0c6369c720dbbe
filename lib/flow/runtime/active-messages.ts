import type { StepContext } from './step-context.js';

/** One handler call under way. */
export interface ActiveCall {
  readonly context: StepContext;
  /** Ends the call for the runner, with this reason; the handler itself is told through its signal. */
  readonly giveUp: (reason: Error) => void;
}

/** The handler calls of one step that run now. */
export class ActiveMessages {
  private readonly calls = new Set<ActiveCall>();
  private closed: Error | undefined;

  /** Why no call may begin any more; `undefined` while they may. */
  get closedBy(): Error | undefined {
    return this.closed;
  }

  add(call: ActiveCall): void {
    this.calls.add(call);
  }

  remove(call: ActiveCall): void {
    this.calls.delete(call);
  }

  /** Gives up the calls of one run. */
  giveUpRun(runId: string, reason: Error): void {
    for (const call of this.calls) {
      if (call.context.runId === runId) call.giveUp(reason);
    }
  }

  /** Gives up all calls, and lets none begin from now on. */
  close(reason: Error): void {
    const first = (this.closed ??= reason);
    for (const call of this.calls) call.giveUp(first);
  }
}
