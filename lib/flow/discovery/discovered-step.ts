import type { DeclaredStep } from '../graph/declared-step.js';
import type { InstanceWrapper } from './instance-wrapper.js';

/** A step found in the application, and the provider or controller that has its method. */
export interface DiscoveredStep extends DeclaredStep {
  readonly wrapper: InstanceWrapper;
  /** What the wrapper's instances inherit the method from. */
  readonly prototype: object;
}
