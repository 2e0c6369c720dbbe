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

  add(call: ActiveCall): void {
    this.calls.add(call);
  }

  remove(call: ActiveCall): void {
    this.calls.delete(call);
  }

  /** Gives up the calls of one run, or with no run id all of them. */
  giveUp(reason: Error, runId?: string): void {
    for (const call of this.calls) {
      if (runId === undefined || call.context.runId === runId) call.giveUp(reason);
    }
  }
}
