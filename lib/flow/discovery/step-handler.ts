import type { Log } from '../../common/log.js';
import type { FlowContext } from '../flow-context.js';

/**
 * Runs a step's method once, with the guards, pipes, interceptors and exception filters that Nest has for it. Resolves
 * to what the method (or an interceptor, or an exception filter) gives; rejects with the error of any of them, which
 * nobody has logged yet.
 */
export type StepHandler = (input: unknown, ctx: FlowContext) => Promise<unknown>;

/** A step's method as the runtime gets it. */
export interface StepMethod {
  readonly handler: StepHandler;
  /** What it finds as `ctx.logger`: tells in whose name it writes. */
  readonly logger: Log;
}

/**
 * What request-scoped providers get as `REQUEST` while they serve a step: one per delivery.
 */
export interface FlowRequest {
  /** The decoded message, before any pipe. */
  readonly input: unknown;
  readonly ctx: FlowContext;
}
