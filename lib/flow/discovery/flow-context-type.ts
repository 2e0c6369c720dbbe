import type { ArgumentsHost } from '@nestjs/common';
import type { FlowRequest } from './step-handler.js';

/**
 * What `ArgumentsHost.getType()` and `ExecutionContext.getType()` say in guards, interceptors and filters that run for
 * a step. Global ones run for steps too: have those that are meant for HTTP check it.
 */
export const FLOW_CONTEXT_TYPE = 'flow';

/** The message and context of the step that a guard, interceptor or filter runs for; `undefined` outside of steps. */
export function flowRequestOf(host: ArgumentsHost): FlowRequest | undefined {
  if (host.getType<string>() !== FLOW_CONTEXT_TYPE) return undefined;
  return { input: host.getArgByIndex(0), ctx: host.getArgByIndex(1) };
}
