import { experimentalDecorator } from '../common/experimental-decorator.js';
import type { KeyPattern, AnyKvReducer, KeyOf, StateOf } from './engine/kv-reducer.js';
import type { KeyEvent } from './engine/watch-events.js';
import type { KvObjectClass } from './object-store.tokens.js';

const METADATA = 'nestjs-jetstream-flow:on-kv-change';

/** Which changes a method is told, beside the kind of state. */
export interface OnKvChangeOptions<R extends AnyKvReducer = AnyKvReducer> {
  /** The key, or a pattern: `{ iata: '*' }`. @default all keys */
  readonly key?: KeyPattern<KeyOf<R>>;
  /**
   * `'new'`: changes from the application's start on. `'last'`: first what is there then, each entry once.
   * @default 'new'
   */
  readonly from?: 'new' | 'last';
  /** Key of the connection, as in `forFeature`. @default the connection without a key */
  readonly connection?: string;
}

/** What `@OnKvChange` wrote on a method. */
export interface KvChangeMetadata {
  readonly target: KvObjectClass;
  readonly options: OnKvChangeOptions;
}

/** A decorator for methods that take changes of one kind of state. */
export type KvChangeMethodDecorator<State> = <M extends (change: KeyEvent<State>) => unknown>(
  prototype: object,
  methodName: string,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

/**
 * Has a method of a provider called with each change of a kind of state, from the application's start until its shutdown.
 * List the class in `FlowModule.forFeature({ objects: [Class] })`.
 *
 * - Every instance of the application is told every change; nothing is told again after a restart. For work that must be
 *   done once, use a flow.
 * - One call at a time, in the order of the changes, over reconnects. While a call runs, changes wait; of an entry that
 *   changes often a slow method sees the latest state only.
 * - What it throws is logged, and the next change follows. Guards, pipes, interceptors and filters do not apply.
 * - Not on request-scoped or transient providers: a `ConfigurationError` at boot.
 */
export function OnKvChange<R extends AnyKvReducer>(
  target: KvObjectClass<R>,
  options: OnKvChangeOptions<R> = {},
): KvChangeMethodDecorator<StateOf<R>> {
  return experimentalDecorator<KvChangeMethodDecorator<StateOf<R>>>('OnKvChange', (prototype, methodName) => {
    const before = (Reflect.getOwnMetadata(METADATA, prototype, methodName) as unknown[] | undefined) ?? [];
    Reflect.defineMetadata(METADATA, [...before, { target, options }], prototype, methodName);
  });
}

/** What `@OnKvChange` says about a method, inherited decorators included; once per decorator. */
export function getKvChangeMetadata(prototype: object, methodName: string): readonly KvChangeMetadata[] {
  return (Reflect.getMetadata(METADATA, prototype, methodName) as KvChangeMetadata[] | undefined) ?? [];
}
