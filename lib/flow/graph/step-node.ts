import type { MessageCodec } from '../../codec/message-codec.js';
import type { FlowMessage } from '../flow-context.js';
import type { RetryPolicy } from '../retry-policy.js';
import type { StepRateSettings } from '../step-rate.options.js';

/** A way from one step to the next. */
export interface Route {
  /** The step it leads to. */
  readonly target: StepNode;
  /** Takes only results it holds for. Absent on unconditional routes and on `otherwise`. */
  readonly when?: (value: unknown) => boolean;
  /** Takes the results that no sibling's `when` holds for. */
  readonly otherwise: boolean;
}

/** One step of a checked flow graph. Immutable once the graph is built. */
export interface StepNode {
  readonly name: string;
  /** Where it is declared, for people: `OrderFlow.price`. */
  readonly where: string;
  /** External subjects that are ingested here. */
  readonly subjects: readonly string[];
  /** Where in their streams a new consumer of the subjects begins. */
  readonly deliver: 'all' | 'new';
  /** Whether runs begin here: the step has no predecessors. */
  readonly isEntry: boolean;
  /** Whether `FlowClient.start` publishes here. At most one step of a flow. */
  readonly acceptsStart: boolean;
  /** Names of the preceding steps. */
  readonly after: readonly string[];
  /** Ways to the following steps, in the order of their declaration. Empty: a run's branch ends here. */
  readonly routes: readonly Route[];
  /** Whether it has several preceding steps, so that it may run more than once in a run. */
  readonly merges: boolean;
  readonly inputCodec: MessageCodec<unknown>;
  readonly outputCodec: MessageCodec<unknown>;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly ackWaitMs: number;
  readonly ack: 'single' | 'double';
  readonly maxDeliveries: number;
  /** How many messages may begin per window, over all instances. */
  readonly rate?: StepRateSettings;
  /** Run id of an external message; only on steps with subjects. */
  readonly runId?: (input: unknown, message: FlowMessage) => string;
}
