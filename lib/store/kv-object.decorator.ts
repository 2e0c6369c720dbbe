import { Injectable } from '@nestjs/common';
import type { MessageOf, MessageSchema } from '../codec/message-schema.js';
import { ConfigurationError } from '../common/errors.js';
import { experimentalDecorator } from '../common/experimental-decorator.js';
import { resolveKvObject, type KvObjectOptions } from './engine/kv-object.options.js';
import type { Changed, KeyParts } from './engine/kv-reducer.js';
import type { KvObjectClass } from './object-store.tokens.js';

const METADATA = 'nestjs-jetstream-flow:kv-object';

/** What a class must be for `@KvObject` with this state: its reducer takes and makes the schema's message. */
export interface ReducerOf<State> {
  key(params: never): KeyParts;
  empty(params: never): State;
  apply(state: State, input: never): Changed<State>;
}

/**
 * Declares a class as a kind of state kept in a JetStream KV bucket. The class is a provider: it may inject others.
 * List it in `FlowModule.forFeature({ objects: [Class] })` and inject its store with `@InjectObjectStore(Class)`.
 *
 * @throws ConfigurationError when the options have problems, all of them at once.
 */
export function KvObject<S extends MessageSchema>(
  options: KvObjectOptions<S>,
): (target: new (...args: never[]) => ReducerOf<MessageOf<S>>) => void {
  return experimentalDecorator('KvObject', (target) => {
    // Also done when the store is made, with the module's defaults; a mistake should show where it is written.
    resolveKvObject(`@KvObject of ${target.name}`, options);
    Injectable()(target);
    Reflect.defineMetadata(METADATA, options, target);
  });
}

/** The options a class was decorated with. @throws ConfigurationError when it was not. */
export function getKvObjectOptions(target: KvObjectClass): KvObjectOptions {
  const options = Reflect.getOwnMetadata(METADATA, target) as KvObjectOptions | undefined;
  if (options === undefined) {
    throw new ConfigurationError(target.name, [
      'it is no state object; decorate the class with @KvObject({ bucket, schema })',
    ]);
  }
  return options;
}
