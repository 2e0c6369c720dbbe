import type { MessageOf, MessageSchema } from '../../codec/message-schema.js';
import type { FlowContext } from '../flow-context.js';

/** Any method. */
export type AnyMethod = (...args: never[]) => unknown;

/** What the compiler shows when a method does not fit its `@FlowStep`; never a real property. */
export interface StepTypeError<Problem extends string, Expected, Actual> {
  readonly problem: Problem;
  readonly expected: Expected;
  readonly actual: Actual;
}

/** Results that stand for several messages; the library does not take them yet. */
type ManyResults = AsyncIterable<unknown> | Generator | { subscribe(...args: never[]): unknown };

type IsAny<T> = 0 extends 1 & T ? true : false;

/** What a method may return when its step declares the output type `T`. */
type ResultOf<T> = T | undefined;

type TargetProblem<T> = T extends { readonly prototype: object }
  ? StepTypeError<
      'a static method belongs to no provider and cannot be a step',
      'an instance method',
      'a static method'
    >
  : unknown;

type InputProblem<M extends AnyMethod, Input> = unknown extends Input
  ? unknown
  : Parameters<M> extends readonly []
    ? unknown
    : Input extends Parameters<M>[0]
      ? unknown
      : StepTypeError<
          'the first parameter must accept the messages of the step (its "input")',
          Input,
          Parameters<M>[0]
        >;

type ContextProblem<M extends AnyMethod> =
  Parameters<M> extends readonly [unknown?]
    ? unknown
    : FlowContext extends Parameters<M>[1]
      ? unknown
      : StepTypeError<
          'the second parameter must accept the FlowContext; parameters with decorators come after it',
          FlowContext,
          Parameters<M>[1]
        >;

type OutputProblem<M extends AnyMethod, Output> =
  IsAny<ReturnType<M>> extends true
    ? unknown
    : [Awaited<ReturnType<M>>] extends [never]
      ? unknown
      : [Extract<Awaited<ReturnType<M>>, ManyResults>] extends [never]
        ? unknown extends Output
          ? unknown
          : Awaited<ReturnType<M>> extends ResultOf<Output>
            ? unknown
            : StepTypeError<
                'the method must return the step\'s "output", undefined, or a promise of them',
                Output,
                Awaited<ReturnType<M>>
              >
        : StepTypeError<
            'generators and Observables are not supported as results; return one value',
            Output,
            ReturnType<M>
          >;

/**
 * `unknown` when method `M` fits a step of these schemas, otherwise a {@link StepTypeError} that says what does not.
 * Intersected with the decorator's descriptor, it makes the compiler print that error. Schemas that were not
 * declared are not checked.
 */
export type StepMethodCheck<M extends AnyMethod, I extends MessageSchema, O extends MessageSchema> = InputProblem<
  M,
  MessageOf<I>
> &
  ContextProblem<M> &
  OutputProblem<M, MessageOf<O>>;

/** What `@FlowStep` makes: a decorator for methods that fit the step's schemas. */
export type StepMethodDecorator<I extends MessageSchema, O extends MessageSchema> = <
  T extends object,
  M extends AnyMethod,
>(
  target: T & TargetProblem<T>,
  methodName: string,
  descriptor: TypedPropertyDescriptor<M> & StepMethodCheck<M, I, O>,
) => void;
