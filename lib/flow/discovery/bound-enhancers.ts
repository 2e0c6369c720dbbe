import type { ApplicationConfig } from '@nestjs/core';
import { NestMetadataKey } from '../../common/nest-metadata.js';
import type { DiscoveredStep } from './discovered-step.js';

/** Which stages of Nest's pipeline have something to run for a step. */
export interface BoundEnhancers {
  /** Pipes, or parameters with a decorator. */
  readonly onArguments: boolean;
  /** Guards or interceptors. */
  readonly onCall: boolean;
}

/**
 * Looks where Nest looks for enhancers: at the application, the class and the method. A stage without any is left out:
 * it costs more than all else that happens to a message in this process, and does nothing.
 */
export function findEnhancers(config: ApplicationConfig, step: DiscoveredStep): BoundEnhancers {
  const { prototype, methodName } = step;
  const type = prototype.constructor;
  const method = Reflect.get(prototype, methodName) as object;
  const isBound = (key: string): boolean => Reflect.hasMetadata(key, type) || Reflect.hasMetadata(key, method);
  return {
    onArguments:
      Reflect.hasMetadata(NestMetadataKey.routeArguments, type, methodName) ||
      isBound(NestMetadataKey.pipes) ||
      config.getGlobalPipes().length + config.getGlobalRequestPipes().length > 0,
    onCall:
      isBound(NestMetadataKey.guards) ||
      isBound(NestMetadataKey.interceptors) ||
      config.getGlobalGuards().length + config.getGlobalRequestGuards().length > 0 ||
      config.getGlobalInterceptors().length + config.getGlobalRequestInterceptors().length > 0,
  };
}
