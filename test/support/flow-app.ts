import type { ModuleMetadata } from '@nestjs/common';
import { FlowModule, type FlowModuleOptions } from 'nestjs-jetstream-flow';
import { FlowTestApp } from 'nestjs-jetstream-flow/testing';

/** A Nest application with flows, closed by `await using`. */
export type FlowApp = FlowTestApp;

/** Starts an application with these providers, connected to `url`. With `TEST_LOG` set it says what it does. */
export function startFlowApp(
  url: string,
  providers: NonNullable<ModuleMetadata['providers']>,
  options: FlowModuleOptions = {},
  imports: NonNullable<ModuleMetadata['imports']> = [],
): Promise<FlowApp> {
  return FlowTestApp.start(
    () => ({ imports: [FlowModule.forRoot({ servers: url, ...options }), ...imports], providers }),
    { server: { url }, logger: process.env['TEST_LOG'] === undefined ? false : ['log', 'warn', 'error', 'debug'] },
  );
}
