import type { DiscoveryService, MetadataScanner } from '@nestjs/core';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A method of a provider or controller. */
export interface ProviderMethod {
  /** What the method is inherited from. */
  readonly prototype: object;
  readonly methodName: string;
  /** `OrderBoard.refresh`, for logs and errors. */
  readonly where: string;
  /** The provider; absent when there is not one for the whole application. */
  readonly instance: object | undefined;
}

/** All methods, in the order of modules, providers and methods. Of factories and values: of what they have made. */
export function providerMethods(discovery: DiscoveryService, scanner: MetadataScanner): ProviderMethod[] {
  return [...discovery.getProviders(), ...discovery.getControllers()].flatMap((wrapper) => {
    const prototype = prototypeOf(wrapper);
    if (wrapper.isAlias || typeof prototype !== 'object' || prototype === null) return [];
    const isShared = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    const instance = isShared ? (wrapper.instance as object) : undefined;
    return scanner.getAllMethodNames(prototype).map((methodName) => ({
      prototype,
      methodName,
      where: `${prototype.constructor.name}.${methodName}`,
      instance,
    }));
  });
}

/** What a provider's instances inherit their methods from; known for classes also while no instance exists. */
function prototypeOf(wrapper: InstanceWrapper): unknown {
  if (!wrapper.isNotMetatype) return wrapper.metatype?.prototype;
  const instance: unknown = wrapper.instance;
  return typeof instance === 'object' && instance !== null ? Object.getPrototypeOf(instance) : undefined;
}
