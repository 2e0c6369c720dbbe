import type { MessageSchema } from '../../codec/message-schema.js';
import { experimentalDecorator } from '../../common/experimental-decorator.js';
import type { FlowContract } from '../contract.js';
import { FlowMetadataKey } from './flow-metadata.js';
import type { FlowStepOptions } from './flow-step.options.js';
import { NestMetadataKey } from '../../common/nest-metadata.js';
import type { StepMethodDecorator } from './step-method.js';

/**
 * Makes a method of a provider or controller a step of a flow. The method is called with the decoded message and a
 * `FlowContext`. What it returns goes on to the following steps; `undefined` ends the branch; an exception follows the
 * retry policy, except `TerminalError` (straight to the dead letters) and `RetryLater` (after its own delay).
 *
 * With `input` or `output` declared, the compiler holds the method's first parameter and result to them; without `input`,
 * a step with `flow` and neither `after` nor `subject` is held to what its flow is started with. The rest is checked at
 * boot. Nest's guards, pipes, interceptors and exception filters work as on a controller's method.
 *
 * A subclass that overrides the method inherits the step, unless it decorates its own; as everywhere in Nest it does not
 * inherit the guards and other enhancers of the overridden method.
 */
export function FlowStep<I extends MessageSchema, O extends MessageSchema = MessageSchema>(
  options: FlowStepOptions<I, O> & {
    readonly flow: FlowContract<I>;
    readonly input?: never;
    readonly after?: never;
    readonly subject?: never;
  },
): StepMethodDecorator<I, O>;
/** As the other form. What the step gets is what its `input` says; without, the compiler does not know it. */
export function FlowStep<I extends MessageSchema = MessageSchema, O extends MessageSchema = MessageSchema>(
  options?: FlowStepOptions<I, O>,
): StepMethodDecorator<I, O>;
export function FlowStep(options: FlowStepOptions = {}): StepMethodDecorator<MessageSchema, MessageSchema> {
  return experimentalDecorator<StepMethodDecorator<MessageSchema, MessageSchema>>('FlowStep', (target, methodName) => {
    const before = (Reflect.getOwnMetadata(FlowMetadataKey.steps, target, methodName) as unknown[] | undefined) ?? [];
    Reflect.defineMetadata(FlowMetadataKey.steps, [...before, options], target, methodName);
    // Steps are entered by messages as controllers are by requests; Nest treats their enhancers alike when told.
    Reflect.defineMetadata(NestMetadataKey.entryProvider, true, target.constructor);
  });
}
