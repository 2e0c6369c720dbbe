import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { providerMethods, type ProviderMethod } from '../../store/provider-methods.js';
import { coordinationNames } from './coordination-names.js';
import { getOnLeaderMetadata, type OnLeaderMetadata } from './on-leader.decorator.js';

/** A method with `@OnLeader` or `@OnLeaderLost`. */
export type LeaderMethod = OnLeaderMetadata & Omit<ProviderMethod, 'prototype'>;

/** Finds the methods with `@OnLeader` and `@OnLeaderLost` of an application's providers and controllers. */
@Injectable()
export class LeaderExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  /** All of them, in the order of modules, providers and methods. */
  explore(): LeaderMethod[] {
    return providerMethods(this.discovery, this.scanner).flatMap(({ prototype, ...method }) =>
      getOnLeaderMetadata(prototype, method.methodName).map((metadata) => ({ ...metadata, ...method })),
    );
  }

  /** Names of the elections that features of a connection list. */
  electionNames(connection: string | undefined): string[] {
    return coordinationNames(this.discovery, 'LeaderElection', connection);
  }
}
