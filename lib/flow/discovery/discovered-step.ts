import type { DiscoveryService } from '@nestjs/core';
import type { DeclaredStep } from '../graph/declared-step.js';

/** Nest's record of one provider or controller; Nest does not export the type by name. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/**
 * What a provider's instances inherit their methods from; known for classes also while no instance exists. `undefined`
 * or `null` for what has no methods, and for factories and values that have not made anything yet.
 */
export function prototypeOf(wrapper: InstanceWrapper): unknown {
  if (!wrapper.isNotMetatype) return wrapper.metatype?.prototype;
  const instance: unknown = wrapper.instance;
  return typeof instance === 'object' && instance !== null ? Object.getPrototypeOf(instance) : undefined;
}

/** A step found in the application, and the provider or controller that has its method. */
export interface DiscoveredStep extends DeclaredStep {
  readonly wrapper: InstanceWrapper;
  /** What the wrapper's instances inherit the method from. */
  readonly prototype: object;
}
