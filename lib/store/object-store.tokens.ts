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
  const place = key === undefined ? TOKEN : Symbol.for(`${TOKEN.description ?? ''}:${key}`);
  const own = Object.getOwnPropertyDescriptor(target, place)?.value as symbol | undefined;
  if (own !== undefined) return own;
  const token = Symbol(`ObjectStore<${target.name}>${key === undefined ? '' : `:${key}`}`);
  Object.defineProperty(target, place, { value: token });
  return token;
}

/** Where a class keeps its token: with the class itself, so that nothing is static here. */
const TOKEN = Symbol.for('nestjs-jetstream-flow:object-store-token');
