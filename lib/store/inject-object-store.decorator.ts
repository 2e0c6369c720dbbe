import { Inject } from '@nestjs/common';
import { getObjectStoreToken, type KvObjectClass } from './object-store.tokens.js';

/**
 * Injects the store of a `@KvObject` class.
 *
 * @example constructor(@InjectObjectStore(AirportDelays) private readonly delays: ObjectStore<AirportDelays>) {}
 */
export function InjectObjectStore(target: KvObjectClass): ParameterDecorator & PropertyDecorator {
  return Inject(getObjectStoreToken(target));
}
