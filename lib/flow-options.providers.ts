import type { Provider } from '@nestjs/common';
import { ConfigurationError } from './common/errors.js';
import { FlowBoot } from './flow/flow-boot.js';
import {
  resolveFlowModuleOptions,
  type FlowModuleAsyncOptions,
  type FlowModuleOptions,
  type FlowOptionsFactory,
} from './flow.module.options.js';

/** Token of the checked options of one connection, inside its module. */
export const FLOW_OPTIONS = Symbol('flow module options');

type Made = FlowModuleOptions | Promise<FlowModuleOptions>;

/**
 * The providers that make {@link FLOW_OPTIONS} when the application starts.
 *
 * @throws ConfigurationError unless there is exactly one way to make them
 */
export function asyncOptionProviders(options: FlowModuleAsyncOptions): Provider[] {
  const { useFactory, inject = [], useClass, useExisting } = options;
  const ways = [useFactory, useClass, useExisting].filter((way) => way !== undefined);
  if (ways.length !== 1) {
    throw new ConfigurationError('FlowModule.forRootAsync', [
      `${ways.length === 0 ? 'nothing makes' : 'more than one thing makes'} the options: ` +
        'give one of "useFactory", "useClass" and "useExisting".',
    ]);
  }
  if (useFactory !== undefined) return [checked(useFactory, inject)];
  const fromFactory = (factory: FlowOptionsFactory): Made => factory.createFlowOptions();
  if (useClass !== undefined) return [useClass, checked(fromFactory, [useClass])];
  return useExisting === undefined ? [] : [checked(fromFactory, [useExisting])];
}

function checked(make: (...args: never[]) => Made, inject: NonNullable<FlowModuleAsyncOptions['inject']>): Provider {
  const makeOf = make as (...args: unknown[]) => Made;
  return {
    provide: FLOW_OPTIONS,
    useFactory: (boot: FlowBoot, ...args: unknown[]) =>
      boot.part(async () => resolveFlowModuleOptions(await makeOf(...args))),
    inject: [FlowBoot, ...inject],
  };
}
