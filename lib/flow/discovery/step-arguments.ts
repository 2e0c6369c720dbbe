import type { ExternalContextCreator } from '@nestjs/core';
import { NestMetadataKey } from '../../common/nest-metadata.js';
import type { FlowContext } from '../flow-context.js';
import type { DiscoveredStep } from './discovered-step.js';

type ParamsFactory = NonNullable<Parameters<ExternalContextCreator['create']>[4]>;

/** What Nest keeps of one decorated parameter, as far as it matters here. */
interface ParameterMetadata {
  readonly index: number;
}

/** The key under which Nest finds the parameters of steps; methods that also are routes keep theirs apart. */
export const STEP_ARGUMENTS_KEY = 'nestjs-jetstream-flow:arguments';

/** Nest's number for a request's body. Pipes see the message as one: `ArgumentMetadata.type` is `'body'`. */
const BODY = 3;

/** Gives Nest the message where a parameter asks for the body, and its property for `@Body('property')`. */
export const stepArguments: ParamsFactory = {
  exchangeKeyForValue: (type: number, property: unknown, [input]: readonly unknown[]) => {
    if (type !== BODY) return undefined;
    if (typeof property !== 'string') return input;
    return typeof input === 'object' && input !== null ? (Reflect.get(input, property) as unknown) : undefined;
  },
};

/**
 * Tells Nest which parameters of a method to pass through pipes: those that have a parameter decorator, and the first,
 * the message, also without one. The second, the context, is left alone unless it is decorated: a pipe that is bound to
 * the method is written for the message.
 *
 * @returns the indexes of the parameters that Nest provides.
 */
export function declareArguments({ prototype, methodName }: DiscoveredStep): ReadonlySet<number> {
  const type = prototype.constructor;
  const declared: unknown = Reflect.getMetadata(NestMetadataKey.routeArguments, type, methodName);
  const decorated = { ...(declared as Readonly<Record<string, ParameterMetadata>> | undefined) };
  const indexes = new Set(Object.values(decorated).map(({ index }) => index));
  const first = indexes.has(0) ? {} : { [`${BODY}:0`]: { index: 0, data: undefined, pipes: [] } };
  Reflect.defineMetadata(STEP_ARGUMENTS_KEY, { ...first, ...decorated }, type, methodName);
  return indexes.add(0);
}

/** The method's arguments: those that came through Nest's pipes, and the context where nothing else was asked for. */
export function completeArguments(
  resolved: readonly unknown[],
  provided: ReadonlySet<number>,
  ctx: FlowContext,
): unknown[] {
  return provided.has(1) ? [...resolved] : Object.assign([...resolved], { 1: ctx });
}
