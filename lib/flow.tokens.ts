import { Inject, type Abstract, type InjectionToken } from '@nestjs/common';
import { classToken } from './common/class-token.js';
import { experimentalDecorator } from './common/experimental-decorator.js';

/**
 * Injection token of something that each connection has one of: the class itself for the default connection, a
 * symbol for one with a key.
 */
export function getFlowToken<T>(type: Abstract<T>, key?: string): InjectionToken<T> {
  return key === undefined ? type : classToken(type, `connection-token:${key}`, `${type.name}:${key}`);
}

/**
 * Injects what belongs to the connection `key`: `@InjectFlow(FlowClient, 'billing')`. For the default connection
 * the class as the parameter's type is enough.
 */
export function InjectFlow(type: Abstract<object>, key?: string): ParameterDecorator & PropertyDecorator {
  return experimentalDecorator('InjectFlow', Inject(getFlowToken(type, key)));
}
