import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ObjectStore } from './engine/object-store.js';
import type { AnyKvReducer } from './engine/kv-reducer.js';
import { getObjectStoreToken, type KvObjectClass } from './object-store.tokens.js';
import { getKvChangeMetadata, type KvChangeMetadata } from './on-kv-change.decorator.js';

type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A method with `@OnKvChange`. */
export interface KvChangeMethod extends KvChangeMetadata {
  /** `OrderBoard.refresh`, for logs and errors. */
  readonly where: string;
  /** The provider; absent when there is not one for the whole application. */
  readonly instance: object | undefined;
  readonly methodName: string;
}

/** Finds the methods with `@OnKvChange` of an application's providers and controllers, and the stores they follow. */
@Injectable()
export class KvChangeExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  /** All methods, in the order of modules, providers and methods. Of factories and values: of what they have made. */
  explore(): KvChangeMethod[] {
    return [...this.discovery.getProviders(), ...this.discovery.getControllers()].flatMap((wrapper) => {
      const prototype = prototypeOf(wrapper);
      if (wrapper.isAlias || typeof prototype !== 'object' || prototype === null) return [];
      const isShared = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
      const instance = isShared ? (wrapper.instance as object) : undefined;
      return this.scanner.getAllMethodNames(prototype).flatMap((methodName) =>
        getKvChangeMetadata(prototype, methodName).map((metadata) => ({
          ...metadata,
          where: `${prototype.constructor.name}.${methodName}`,
          instance,
          methodName,
        })),
      );
    });
  }

  /** The store of a class on a connection, if a `forFeature` of the application lists it. */
  storeOf(target: KvObjectClass, connection: string | undefined): ObjectStore<AnyKvReducer> | undefined {
    const token = getObjectStoreToken(target, connection);
    return this.discovery
      .getProviders()
      .filter((wrapper) => wrapper.token === token)
      .map((wrapper): unknown => wrapper.instance)
      .find((instance) => instance instanceof ObjectStore);
  }
}

/** What a provider's instances inherit their methods from; known for classes also while no instance exists. */
function prototypeOf(wrapper: InstanceWrapper): unknown {
  if (!wrapper.isNotMetatype) return wrapper.metatype?.prototype;
  const instance: unknown = wrapper.instance;
  return typeof instance === 'object' && instance !== null ? Object.getPrototypeOf(instance) : undefined;
}
