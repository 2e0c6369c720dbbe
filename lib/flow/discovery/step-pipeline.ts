import type { ContextId, ExternalContextCreator } from '@nestjs/core';
import { isObservable } from 'rxjs';
import { TerminalError } from '../../common/errors.js';
import type { FlowContext } from '../flow-context.js';
import { RetryLater } from '../retry-later.error.js';
import type { BoundEnhancers } from './bound-enhancers.js';
import { FLOW_CONTEXT_TYPE } from './flow-context-type.js';
import { completeArguments, STEP_ARGUMENTS_KEY, stepArguments } from './step-arguments.js';
import type { StepHandler } from './step-handler.js';

type Callback = Parameters<ExternalContextCreator['create']>[1];
type Stages = Parameters<ExternalContextCreator['create']>[7];

/** The method of one instance, and what Nest needs to find the enhancers that belong to it. */
export interface PipelineTarget {
  readonly instance: object;
  readonly methodName: string;
  readonly where: string;
  /** Indexes of the parameters that Nest provides, from `declareArguments`. */
  readonly provided: ReadonlySet<number>;
  /** What there is for the method; the stages of others are left out. */
  readonly enhancers: BoundEnhancers;
  /** The request the instance belongs to; absent for an instance that lives as long as the application. */
  readonly contextId?: ContextId | undefined;
  /** The provider by which Nest finds the instance's module and enhancers, when it cannot by the instance alone. */
  readonly inquirerId?: string | undefined;
}

/**
 * A step's method within Nest's request pipeline: guards, interceptors, pipes, the method; exception filters around all.
 *
 * Nest's own combination of the four is taken apart and put together again, for two reasons. Its pipes would also get
 * the context, which nobody writes pipes for. And its filters cannot tell an error that a filter took care of from one it
 * only looked at: here a filter that gives `undefined`, at once or by a promise, has not handled the error.
 */
export function createPipeline(external: ExternalContextCreator, target: PipelineTarget): StepHandler {
  const { instance, methodName, where, provided, enhancers } = target;
  const method = methodOf(instance, methodName);

  const stage = (
    callback: Callback,
    stages: Stages,
    onArguments = false,
  ): ReturnType<ExternalContextCreator['create']> =>
    external.create(
      instance,
      actingAs(method, callback),
      methodName,
      onArguments ? STEP_ARGUMENTS_KEY : undefined,
      onArguments ? stepArguments : undefined,
      target.contextId,
      target.inquirerId,
      stages,
      FLOW_CONTEXT_TYPE,
    );

  const withPipes = (): StepHandler => {
    const pipes = stage((...args) => args, { guards: false, interceptors: false, filters: false }, true);
    return async (input, ctx) => {
      const resolved = (await pipes(input, ctx)) as unknown[];
      const args = completeArguments(resolved, provided, ctx);
      return refuseManyResults(await method.apply(instance, args), where);
    };
  };
  const plain: StepHandler = async (input, ctx) => refuseManyResults(await method.call(instance, input, ctx), where);
  const call = enhancers.onArguments ? withPipes() : plain;
  const guarded = enhancers.onCall
    ? stage((input, ctx) => call(input, ctx as FlowContext), { guards: true, interceptors: true, filters: false })
    : call;
  const filters = stage(rethrowThird, { guards: false, interceptors: false, filters: true });

  return async (input, ctx) => {
    try {
      return (await guarded(input, ctx)) as unknown;
    } catch (error) {
      // A wish for a delay is no exception; filters have nothing to do with it.
      if (error instanceof RetryLater) throw error;
      const handled: unknown = await filters(input, ctx, error);
      if (handled === undefined) throw error;
      return handled;
    }
  };
}

const rethrowThird: Callback = (_input, _ctx, error) => {
  throw error;
};

function methodOf(instance: object, methodName: string): Callback {
  const method: unknown = Reflect.get(instance, methodName);
  if (typeof method !== 'function') throw new TypeError(`"${methodName}" of ${instance.constructor.name} is no method`);
  return method as Callback;
}

/**
 * Nest reads enhancers and users' metadata from the function it calls (`context.getHandler()`), so `callback` inherits
 * the method's and goes by its name.
 */
function actingAs(method: Callback, callback: Callback): Callback {
  Object.defineProperty(callback, 'name', { value: method.name });
  return Object.setPrototypeOf(callback, method) as Callback;
}

/** A result that stands for several messages would be lost or cut to one without a word. */
function refuseManyResults(result: unknown, where: string): unknown {
  const isMany =
    isObservable(result) ||
    (typeof result === 'object' && result !== null && (Symbol.asyncIterator in result || isGenerator(result)));
  if (!isMany) return result;
  throw new TerminalError(
    `${where} returned a generator or an Observable; steps return one value, undefined or a promise.`,
  );
}

function isGenerator(value: object): boolean {
  return Symbol.iterator in value && 'next' in value && typeof value.next === 'function';
}
