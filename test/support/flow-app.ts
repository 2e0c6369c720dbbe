import type { INestApplicationContext, ModuleMetadata, Type } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FlowModule, type FlowModuleOptions } from 'nestjs-jetstream-flow';

/** A Nest application with flows, closed by `await using`. */
export interface FlowApp extends AsyncDisposable {
  readonly app: INestApplicationContext;
  get<T>(type: Type<T> | (abstract new (...args: never[]) => T)): T;
}

/** Starts an application with these providers, connected to `servers`. */
export async function startFlowApp(
  servers: string,
  providers: NonNullable<ModuleMetadata['providers']>,
  options: FlowModuleOptions = {},
  imports: NonNullable<ModuleMetadata['imports']> = [],
): Promise<FlowApp> {
  @Module({ imports: [FlowModule.forRoot({ servers, ...options }), ...imports], providers })
  class AppModule {}

  const app = await NestFactory.createApplicationContext(AppModule, {
    logger: process.env['TEST_LOG'] === undefined ? false : ['log', 'warn', 'error', 'debug'],
    abortOnError: false,
  });
  let closed: Promise<void> | undefined;
  return {
    app,
    get: (type) => app.get(type),
    [Symbol.asyncDispose]: () => (closed ??= app.close()),
  };
}
