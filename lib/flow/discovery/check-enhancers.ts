import { ConfigurationError } from '../../common/errors.js';
import { NestMetadataKey } from '../decorators/nest-metadata.js';
import type { DiscoveredStep } from './discovered-step.js';

const ENHANCERS = {
  guard: NestMetadataKey.guards,
  interceptor: NestMetadataKey.interceptors,
  pipe: NestMetadataKey.pipes,
  'exception filter': NestMetadataKey.exceptionFilters,
} as const;

/**
 * Nest creates the guards, interceptors, pipes and filters that are given as classes only for providers it creates from
 * a class, and leaves the others out silently. A guard that is left out lets everything pass, so that is an error here.
 *
 * @throws ConfigurationError naming each enhancer that would be left out.
 */
export function checkEnhancers(step: DiscoveredStep): void {
  const { wrapper, prototype, methodName, where } = step;
  const method = Reflect.get(prototype, methodName) as object;
  const problems = Object.entries(ENHANCERS).flatMap(([kind, key]) =>
    [...enhancersOn(prototype.constructor, key), ...enhancersOn(method, key)]
      .filter((enhancer) => typeof enhancer === 'function')
      .filter((enhancer) => wrapper.host?.injectables.has(enhancer) !== true)
      .map(
        (enhancer) =>
          `${where}: Nest does not apply its ${kind} ${enhancer.name}, since a factory or value provides the ` +
          'class. Provide it with "useClass", or give the decorator an instance.',
      ),
  );
  if (problems.length > 0) throw new ConfigurationError('Flow steps', problems);
}

function enhancersOn(target: object, key: string): unknown[] {
  return (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? [];
}
