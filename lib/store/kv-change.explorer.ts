import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ObjectStore } from './engine/object-store.js';
import type { AnyKvReducer } from './engine/kv-reducer.js';
import { getObjectStoreToken, type KvObjectClass } from './object-store.tokens.js';
import { getKvChangeMetadata, type KvChangeMetadata } from './on-kv-change.decorator.js';
import { providerMethods, type ProviderMethod } from './provider-methods.js';

/** A method with `@OnKvChange`. */
export type KvChangeMethod = KvChangeMetadata & Omit<ProviderMethod, 'prototype'>;

/** Finds the methods with `@OnKvChange` of an application's providers and controllers, and the stores they follow. */
@Injectable()
export class KvChangeExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  /** All of them, in the order of modules, providers and methods. */
  explore(): KvChangeMethod[] {
    return providerMethods(this.discovery, this.scanner).flatMap(({ prototype, ...method }) =>
      getKvChangeMetadata(prototype, method.methodName).map((metadata) => ({ ...metadata, ...method })),
    );
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
