import type { Log } from './common/log.js';
import type { FlowBoot } from './flow/flow-boot.js';
import type { ResolvedFlowRuntimeOptions } from './flow/flow-runtime.options.js';

/** What the connection's module tells its features. */
export class FlowFeatureEnvironment {
  constructor(
    readonly runtime: ResolvedFlowRuntimeOptions,
    readonly log: Log,
    readonly boot: FlowBoot,
  ) {}
}
