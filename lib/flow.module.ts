import { Module, type DynamicModule } from '@nestjs/common';
import { featureExports, featureProviders, type FlowFeatureOptions } from './flow.feature.js';
import { FlowCoreModule } from './flow-core.module.js';
import type { FlowConnectionKey, FlowModuleAsyncOptions, FlowModuleOptions } from './flow.module.options.js';

/**
 * Durable flows, typed state and coordination on NATS JetStream for a Nest application.
 *
 * Import `forRoot` (or `forRootAsync`) once per connection, in the root module; providers with `@FlowStep`
 * methods are found wherever they are.
 *
 * Steps run from `onApplicationBootstrap` until `beforeApplicationShutdown` has drained them. Nest calls
 * `onModuleDestroy` before that: close what steps need, such as a database pool, in `onApplicationShutdown`.
 */
@Module({})
export class FlowModule {
  /**
   * Connects, finds the application's flow steps and runs them.
   *
   * @throws ConfigurationError with every problem of the options at once.
   */
  static forRoot(options: FlowModuleOptions & FlowConnectionKey = {}): DynamicModule {
    const { key, ...rest } = options;
    return { module: FlowModule, imports: [FlowCoreModule.forRoot(rest, key)] };
  }

  /**
   * As {@link forRoot}, with options that other providers help to make.
   *
   * @throws ConfigurationError unless there is one of `useFactory`, `useClass` and `useExisting`.
   */
  static forRootAsync(options: FlowModuleAsyncOptions): DynamicModule {
    return { module: FlowModule, imports: [FlowCoreModule.forRootAsync(options)] };
  }

  /**
   * Makes state objects, locks, limiters and counts injectable in the module that imports this. Needs a `forRoot` of the same
   * connection. Several modules may name the same: they share it.
   *
   * @throws ConfigurationError when a class is not decorated, options have problems, or a bucket on the server does not fit.
   */
  static forFeature(options: FlowFeatureOptions): DynamicModule {
    return {
      module: FlowModule,
      imports: options.imports ?? [],
      providers: featureProviders(options),
      exports: featureExports(options),
    };
  }
}
