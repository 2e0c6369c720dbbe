import { classToken } from '../common/class-token.js';
import type { AnyKvReducer } from './engine/kv-reducer.js';

/** A class that `@KvObject` may decorate, or whose store is injected. */
export type KvObjectClass<R extends AnyKvReducer = AnyKvReducer> = new (...args: never[]) => R;

/**
 * Injection token of the `ObjectStore` of a `@KvObject` class; one per class and connection, also when two classes
 * have the same name.
 *
 * @param key of the connection. @default the connection without a key
 */
export function getObjectStoreToken(target: KvObjectClass, key?: string): symbol {
  const of = key === undefined ? '' : `:${key}`;
  return classToken(target, `object-store-token${of}`, `ObjectStore<${target.name}>${of}`);
}
