import { Injectable } from '@nestjs/common';
import type { FlowContract } from '../contract.js';
import { FlowMetadataKey } from './flow-metadata.js';
import type { FlowStepOptions } from './flow-step.options.js';

/** Reads what `@Flow` and `@FlowStep` wrote, inherited metadata included. */
@Injectable()
export class FlowMetadataAccessor {
  /** The contract of a class's `@Flow`, or that of its nearest base class. */
  contractOf(type: object): FlowContract | undefined {
    return Reflect.getMetadata(FlowMetadataKey.contract, type) as FlowContract | undefined;
  }

  /** Whether the class itself has `@Flow`, not a base class. */
  isFlow(type: object): boolean {
    return Reflect.hasOwnMetadata(FlowMetadataKey.contract, type);
  }

  /** The options of each `@FlowStep` on a method; more than one is a mistake that the boot check reports. */
  stepsOf(prototype: object, methodName: string): readonly FlowStepOptions[] {
    return (Reflect.getMetadata(FlowMetadataKey.steps, prototype, methodName) as FlowStepOptions[] | undefined) ?? [];
  }
}
