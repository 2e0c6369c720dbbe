import type { FlowContract } from '../contract.js';
import type { FlowStepOptions } from '../decorators/flow-step.options.js';

/** A step as it was declared, before any check. */
export interface DeclaredStep {
  /** From the step's `flow` option or its class's `@Flow`; absent when neither is there, which is a problem. */
  readonly contract: FlowContract | undefined;
  /** Name of the method; the step's name when the options give none. */
  readonly methodName: string;
  readonly options: FlowStepOptions;
  /** Where it is declared, for people: `OrderFlow.price`. */
  readonly where: string;
  /** What whoever found the step has against it, one sentence each. */
  readonly problems?: readonly string[];
}
