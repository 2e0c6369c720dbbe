import { StepTimeoutError } from '../../common/errors.js';
import { describeThrown } from '../../common/describe-thrown.js';
import type { Log } from '../../common/log.js';
import type { ActiveCall, ActiveMessages } from './active-messages.js';
import type { Lease } from './lease-keeper.js';
import type { StepHandler } from '../discovery/step-handler.js';
import type { StepContext } from './step-context.js';

/**
 * Runs a handler until it returns, its deadline passes, or somebody gives the call up. JavaScript cannot stop
 * a function: one that ignores its signal goes on unseen, and what it throws later is logged.
 */
export function callHandler(
  handler: StepHandler,
  input: unknown,
  context: StepContext,
  timeoutMs: number,
  lease: Lease,
  active: ActiveMessages,
  log: Log,
): Promise<unknown> {
  if (active.closedBy !== undefined) return Promise.reject(active.closedBy);
  return new Promise((resolve, reject) => {
    let over = false;
    const end = (): boolean => {
      if (over) return false;
      over = true;
      lease.deadlineMs = Infinity;
      active.remove(call);
      return true;
    };
    const giveUp = (reason: Error): void => {
      if (!end()) return;
      context.abort(reason);
      reject(reason);
    };
    const call: ActiveCall = { context, giveUp };
    active.add(call);
    lease.onDeadline = () => giveUp(new StepTimeoutError(context.step, timeoutMs));
    lease.deadlineMs = performance.now() + timeoutMs;
    handler(input, context).then(
      (value) => {
        if (end()) resolve(value);
      },
      (error: unknown) => {
        if (end()) reject(error instanceof Error ? error : new ThrownValue(error));
        else log.warn(`Step "${context.step}" failed after it was given up: ${describeThrown(error)}`);
      },
    );
  });
}

/** Something that is no Error was thrown by a handler. */
class ThrownValue extends Error {
  constructor(thrown: unknown) {
    super(`The handler threw ${describeThrown(thrown)}, which is no Error`, { cause: thrown });
    this.name = 'ThrownValue';
  }
}
