import type { FactoryProvider, ModuleMetadata, Type } from '@nestjs/common';
import { z } from 'zod';
import { validateOptions } from './common/validate-options.js';
import {
  checkConnectionOptions,
  connectionOptionsShape,
  type ConnectionOptions,
  type ResolvedConnectionOptions,
} from './connection/connection.options.js';
import {
  checkFlowRuntimeOptions,
  flowRuntimeOptionsShape,
  type FlowRuntimeOptions,
  type ResolvedFlowRuntimeOptions,
} from './flow/flow-runtime.options.js';

/** Everything `FlowModule.forRoot` takes: how to reach the server, and how to take part in flows. */
export interface FlowModuleOptions extends ConnectionOptions, FlowRuntimeOptions {}

/** Tells several connections of one application apart. */
export interface FlowConnectionKey {
  /**
   * Name of this connection inside the application, for the `@Inject…` decorators and `forFeature`. The one
   * without a key is the default: `forRoot({ flows: [Orders] })` beside `forRoot({ key: 'billing', flows: [Invoices] })`.
   */
  readonly key?: string;
}

/** Makes the options when the application starts. */
export interface FlowOptionsFactory {
  createFlowOptions(): FlowModuleOptions | Promise<FlowModuleOptions>;
}

/** Options of `FlowModule.forRootAsync`: one of `useFactory`, `useClass` and `useExisting`. */
export interface FlowModuleAsyncOptions extends FlowConnectionKey, Pick<ModuleMetadata, 'imports'> {
  readonly useFactory?: (...args: never[]) => FlowModuleOptions | Promise<FlowModuleOptions>;
  /** What `useFactory` gets as arguments, as in any provider of Nest: tokens, also optional ones. */
  readonly inject?: Readonly<NonNullable<FactoryProvider['inject']>>;
  readonly useClass?: Type<FlowOptionsFactory>;
  readonly useExisting?: Type<FlowOptionsFactory>;
}

/** Schema of {@link FlowModuleOptions}; unknown names are problems. */
export const flowModuleOptionsSchema: z.ZodType<ResolvedConnectionOptions & ResolvedFlowRuntimeOptions> = z
  .strictObject({ ...connectionOptionsShape, ...flowRuntimeOptionsShape })
  .superRefine(
    (options, context) => {
      checkConnectionOptions(options, context);
      checkFlowRuntimeOptions(options, context);
    },
    // Also when single options have problems already: they are all reported at once.
    { when: ({ value }) => typeof value === 'object' && value !== null },
  );

/** Checked options, parted by the room they are for. */
export interface ResolvedFlowModuleOptions {
  /** Unchanged: the connection fills in its own defaults. */
  readonly connection: ConnectionOptions;
  readonly runtime: ResolvedFlowRuntimeOptions;
}

/** @throws ConfigurationError with every problem of connection and runtime at once. */
export function resolveFlowModuleOptions(options: FlowModuleOptions): ResolvedFlowModuleOptions {
  const runtime = validateOptions('FlowModule options', flowModuleOptionsSchema, options);
  const connection = Object.fromEntries(Object.entries(options).filter(([name]) => name in connectionOptionsShape));
  return { connection, runtime };
}
