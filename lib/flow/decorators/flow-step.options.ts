import type { MessageOf, MessageSchema } from '../../codec/message-schema.js';
import type { Duration } from '../../common/duration.js';
import type { FlowContract } from '../contract.js';
import type { FlowMessage } from '../flow-context.js';
import type { RetryPolicy } from '../retry-policy.js';
import type { StepRateOptions } from '../step-rate.options.js';

/**
 * Options of `@FlowStep`. A step with `after` gets what those steps return; a step with `subject` gets external
 * messages; a step with neither gets what a run is started with. Their values are checked at boot, with those of
 * all other steps.
 */
export interface FlowStepOptions<I extends MessageSchema = MessageSchema, O extends MessageSchema = MessageSchema> {
  /** The flow the step belongs to. @default the contract of the class's `@Flow` */
  readonly flow?: FlowContract;
  /** Name of the step, unique in its flow; names its subject and consumer. @default the method's name */
  readonly name?: string;
  /** External subject or subjects whose messages start runs here; `*` and `>` as in NATS. Excludes `after`. */
  readonly subject?: string | readonly string[];
  /**
   * Run id of an external message; equal ids are one run. Only with `subject`.
   * @default the message's `Flow-Run-Id` or `Nats-Msg-Id` header, else its stream and sequence
   */
  runId?(input: MessageOf<I>, message: FlowMessage): string;
  /**
   * Which messages of its subjects a step gets when it comes into being: `'all'` that their stream has, or only `'new'`
   * ones. Only with `subject`; fixed once the step's consumer is made.
   * @default 'all'
   */
  readonly deliver?: 'all' | 'new';
  /** The step or steps whose results come here. With several, each result comes by itself. */
  readonly after?: string | readonly string[];
  /**
   * Takes only results it holds for. Among the steps after one that have a `when`, the first whose holds, in the
   * order of declaration, gets the result. Annotate the parameter, or declare `input`, to give it a type. An
   * exception fails the step that returned the result.
   */
  when?(value: MessageOf<I>): boolean;
  /** Takes the results that no sibling's `when` holds for. */
  readonly otherwise?: true;
  /** Type of the messages that come here. @default the preceding step's output; the contract's input for an entry */
  readonly input?: I;
  /** Type of the step's results. @default the following steps' declared input, else the contract's output, else JSON */
  readonly output?: O;
  /** What happens when the handler throws. @default exponential('1s', { attempts: 5 }) */
  readonly retry?: RetryPolicy;
  /** Longest time one attempt may take; then `ctx.signal` aborts and the attempt counts as failed. @default '1m' */
  readonly timeout?: Duration;
  /** Handlers of this step running at once in this process, 1 to 65536. @default 16 */
  readonly concurrency?: number;
  /** How long the server waits for a sign of life before it gives the message to another worker, 100 ms or more. @default '30s' */
  readonly ackWait?: Duration;
  /** `'double'` waits for the server to confirm each acknowledgement: fewer redeliveries, slower. @default 'single' */
  readonly ack?: 'single' | 'double';
  /** Deliveries after which the message goes to the dead letters, crashes and shutdowns included. @default the retry policy's attempts + 20 */
  readonly maxDeliveries?: number;
  /**
   * How many messages the step may begin per window, over all instances: `{ limit: 100, window: '1s' }`; with `key`, so many of each
   * key. Messages that wait for their turn are held, which costs them no attempt, also when the application stops meanwhile. Attempts
   * count like messages; messages of cancelled runs do not count.
   * @default no limit
   */
  readonly rate?: StepRateOptions<MessageOf<I>>;
}
