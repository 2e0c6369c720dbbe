import type { MessageSchema } from '../../codec/message-schema.js';
import type { StepRateSettings } from '../step-rate.options.js';
import type { FlowContract } from '../contract.js';
import type { FlowMessage } from '../flow-context.js';
import type { RetryPolicy } from '../retry-policy.js';

/** A step's options after validation: defaults filled in, durations in milliseconds, lists as lists. */
export interface StepSettings {
  readonly subjects: readonly string[];
  readonly deliver: 'all' | 'new';
  readonly after: readonly string[];
  readonly when?: (value: unknown) => boolean;
  readonly otherwise: boolean;
  readonly runId?: (input: unknown, message: FlowMessage) => string;
  readonly input?: MessageSchema;
  readonly output?: MessageSchema;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly ackWaitMs: number;
  readonly ack: 'single' | 'double';
  readonly maxDeliveries: number;
  readonly rate?: StepRateSettings;
}

/** One declared step of a flow, ready for the graph. */
export interface StepDefinition {
  readonly contract: FlowContract;
  readonly name: string;
  readonly options: StepSettings;
  /** Where it is declared, for people: `OrderFlow.price`. */
  readonly where: string;
}
