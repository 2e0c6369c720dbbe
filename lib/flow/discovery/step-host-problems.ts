import { NestMetadataKey } from '../../common/nest-metadata.js';
import { isController, type InstanceWrapper } from './instance-wrapper.js';

const ENHANCERS = {
  guard: NestMetadataKey.guards,
  interceptor: NestMetadataKey.interceptors,
  pipe: NestMetadataKey.pipes,
  'exception filter': NestMetadataKey.exceptionFilters,
} as const;

/** What keeps a method from running as a step the way it was written, one sentence each. */
export function stepHostProblems(wrapper: InstanceWrapper, prototype: object, methodName: string): string[] {
  const method = Reflect.get(prototype, methodName) as object;
  return [
    ...generator(method),
    ...leftOutEnhancers(wrapper, [prototype.constructor, method]),
    ...(isController(wrapper) ? transientEnhancers(wrapper) : []),
  ];
}

function generator(method: object): string[] {
  const isGenerator = Object.prototype.toString.call(method).endsWith('GeneratorFunction]');
  return isGenerator ? ['the method is a generator; steps return one value, undefined or a promise.'] : [];
}

/**
 * Nest creates the guards, interceptors, pipes and filters that are given as classes only for providers it creates from
 * a class, and leaves the others out silently. A guard that is left out lets everything pass.
 */
function leftOutEnhancers(wrapper: InstanceWrapper, targets: readonly object[]): string[] {
  return Object.entries(ENHANCERS).flatMap(([kind, key]) =>
    targets
      .flatMap((target) => (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? [])
      .filter((enhancer) => typeof enhancer === 'function')
      .filter((enhancer) => wrapper.host?.injectables.has(enhancer) !== true)
      .map(
        (enhancer) =>
          `Nest does not apply its ${kind} ${enhancer.name}, since a factory or value provides the class; provide it with ` +
          '"useClass", or give the decorator an instance.',
      ),
  );
}

/** See `inquirerOf` in the handler factory for why a controller's step cannot have these. */
function transientEnhancers(wrapper: InstanceWrapper): string[] {
  return wrapper
    .getEnhancersMetadata()
    .filter((enhancer) => enhancer.isTransient)
    .map(
      (enhancer) =>
        `Nest cannot create the transient ${String(enhancer.name)} for a controller's step; move the step to a provider, or ` +
        'give the enhancer another scope.',
    );
}
