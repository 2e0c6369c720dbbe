import type { AnyKvReducer } from './engine/kv-reducer.js';

/** A class that `@KvObject` may decorate, or whose store is injected. */
export type KvObjectClass<R extends AnyKvReducer = AnyKvReducer> = new (...args: never[]) => R;

/** Injection token of the `ObjectStore` of a `@KvObject` class; one per class, also when two have the same name. */
export function getObjectStoreToken(target: KvObjectClass): symbol {
  const own = Object.getOwnPropertyDescriptor(target, TOKEN)?.value as symbol | undefined;
  if (own !== undefined) return own;
  const token = Symbol(`ObjectStore<${target.name}>`);
  Object.defineProperty(target, TOKEN, { value: token });
  return token;
}

/** Where a class keeps its token: with the class itself, so that nothing is static here. */
const TOKEN = Symbol.for('nestjs-jetstream-flow:object-store-token');
