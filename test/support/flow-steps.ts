import type { FlowContext } from '../../lib/flow/flow-context.js';

/** A context as the runtime makes one, for calling steps without a server. */
export function fakeFlowContext(overrides: Partial<FlowContext> = {}): FlowContext {
  const log = { debug: nothing, log: nothing, warn: nothing, error: nothing };
  return {
    flow: 'orders',
    step: 'price',
    runId: 'run-1',
    index: '',
    idempotencyKey: 'run-1/step/',
    attempt: 1,
    redelivered: false,
    signal: new AbortController().signal,
    logger: log,
    metadata: {},
    headers: new Map(),
    message: { subject: 'test', data: new Uint8Array(), stream: 'TEST', sequence: 1, publishedAt: new Date(0) },
    ...overrides,
  };
}

function nothing(): void {
  // A log nobody reads.
}
