import { Inject } from '@nestjs/common';
import { experimentalDecorator } from '../common/experimental-decorator.js';
import { getObjectStoreToken, type KvObjectClass } from './object-store.tokens.js';

/**
 * Injects the store of a `@KvObject` class.
 *
 * @param key of the connection that `forFeature` was given for it. @default the connection without a key
 * @example constructor(@InjectObjectStore(AirportDelays) private readonly delays: ObjectStore<AirportDelays>) {}
 */
export function InjectObjectStore(target: KvObjectClass, key?: string): ParameterDecorator & PropertyDecorator {
  return experimentalDecorator('InjectObjectStore', Inject(getObjectStoreToken(target, key)));
}
