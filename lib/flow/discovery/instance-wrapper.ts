import type { DiscoveryService } from '@nestjs/core';

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

/** Whether Nest keeps the class as a controller of its module. */
export function isController(wrapper: InstanceWrapper): boolean {
  return wrapper.host?.controllers.get(wrapper.token) === wrapper;
}
