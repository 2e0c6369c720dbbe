import { experimentalDecorator } from '../../common/experimental-decorator.js';
import type { FlowContract } from '../contract.js';
import { FlowMetadataKey } from './flow-metadata.js';

/**
 * Makes a provider's steps steps of `contract`. Subclasses inherit it. A step's own `flow` option wins over it, and a
 * flow's steps may be spread over any number of providers. A provider with it that has no step is a problem at boot.
 */
export function Flow(contract: FlowContract): ClassDecorator {
  return experimentalDecorator<ClassDecorator>('Flow', (target) => {
    Reflect.defineMetadata(FlowMetadataKey.contract, contract, target);
  });
}
