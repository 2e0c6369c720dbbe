import type { DiscoveryService } from '@nestjs/core';
import type { DeclaredStep } from '../graph/declared-step.js';

/** Nest's record of one provider or controller; Nest does not export the type by name. */
export type InstanceWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A step found in the application, and the provider or controller that has its method. */
export interface DiscoveredStep extends DeclaredStep {
  readonly wrapper: InstanceWrapper;
}
